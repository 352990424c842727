"""Picture files in and out: PNG, JPEG, WebP and TIFF to read; PNG and OpenRaster to write.

`images` reads pictures and masks, `png` and `ora` write results, `compare` shows an edit;
`atomic` writes any file whole or not at all and imports none of the others.
"""
