"""Small networks, their training, and the programs read out of them."""
