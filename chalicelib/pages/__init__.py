"""HTML for people, from templates: the dataset site, login and consent, and what is shown instead of them."""
