"""What every test shares: the real hosts, the real daemon, and Hypothesis without a stopwatch."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.hosts.fixtures", "tests.daemon_fixture"]

# Two cores shared with Krita and GIMP make single examples slow now and then; that is no failure.
settings.register_profile("velatura", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("velatura")
