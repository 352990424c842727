"""The Qt that the running Krita is built with; everything else imports Qt from here.

Krita says which one it is.  Trying PyQt6 first would abort a Krita that runs on
Qt 5 wherever a system PyQt6 is installed.
"""

import pykrita

if getattr(pykrita, "qt_major_version", lambda: 5)() == 6:
    from PyQt6 import QtCore, QtGui, QtWidgets
else:
    from PyQt5 import QtCore, QtGui, QtWidgets

Signal = QtCore.pyqtSignal

__all__ = ["QtCore", "QtGui", "QtWidgets", "Signal"]
