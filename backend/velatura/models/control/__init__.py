"""Guides: ControlNets, which lead a picture by a layer, and IP-Adapters, which make it look like one."""
