"""What the gates read: frozen values about a candidate and its champion, arrays only."""
