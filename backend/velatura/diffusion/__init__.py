"""The mathematics of sampling and blending, in the symbols of the papers. Nothing here knows a network's
class, a scheduler object, a file or a host."""
