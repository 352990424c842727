"""Jobs and blobs that survive a crash: the journal, the spool, and what may be let go. No sockets here."""
