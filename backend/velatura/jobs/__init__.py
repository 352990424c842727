"""Jobs and blobs that survive a crash: the journal, the spool, and their retention. No sockets here."""
