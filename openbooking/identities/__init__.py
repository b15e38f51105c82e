"""What an operator does with booking partners, Sellers, logins and tokens."""
