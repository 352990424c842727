"""From a picture to the latents that a sampler would have gone through to make it. An edit of an existing
picture begins from these. Each file is one method; all return a `Trajectory`, which `velatura.cache`
keeps."""
