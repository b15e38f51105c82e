"""JSON-LD in and out: media types, requests, answers, error bodies, feed pages, the dataset site."""
