"""Velatura's plugin for Krita: registers the docker and the actions."""

from krita import DockWidgetFactory, DockWidgetFactoryBase, Krita

from .actions import Actions
from .docker import NAME, VelaturaDocker

Krita.instance().addDockWidgetFactory(
    DockWidgetFactory(NAME, DockWidgetFactoryBase.DockPosition.DockRight, VelaturaDocker)
)
Krita.instance().addExtension(Actions(Krita.instance()))
