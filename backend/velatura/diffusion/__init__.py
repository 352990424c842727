"""The mathematics of sampling and blending, in the symbols of the papers. It is independent of network
classes, scheduler objects, files and hosts."""
