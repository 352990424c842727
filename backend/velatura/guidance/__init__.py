"""Guidance by further terms beside classifier-free guidance: concepts, and networks that look at pictures.

A term changes the guided prediction of one step. Every term works with every sampler, and several terms work
together in one run. Their rows share one pass of the network."""
