"""Images as measures of their colours: read, assembled or drawn, and reduced to palettes."""
