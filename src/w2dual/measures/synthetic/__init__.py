"""What pairs on the plane are made of: laws and images."""
