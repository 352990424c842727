"""From a picture to the latents a sampler would have gone through to make it: what an edit of a picture that
exists begins from. One file a method; what they give is a `Trajectory`, which
`velatura.cache` keeps."""
