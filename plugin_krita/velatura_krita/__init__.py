"""Velatura's plugin for Krita: registers the docker."""

from krita import DockWidgetFactory, DockWidgetFactoryBase, Krita

from .docker import NAME, VelaturaDocker

Krita.instance().addDockWidgetFactory(
    DockWidgetFactory(NAME, DockWidgetFactoryBase.DockPosition.DockRight, VelaturaDocker)
)
