"""Picture files: reads PNG, JPEG, WebP and TIFF; writes PNG and OpenRaster.

`images` reads pictures and masks, `png` and `ora` write results, `compare` and `sheet` show edits. `atomic`
writes any file completely or not at all and imports none of the others.
"""
