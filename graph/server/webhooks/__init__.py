"""Webhooks: events of the log are sent to receivers over HTTP (https://www.standardwebhooks.com).

signing     bodies, secrets and signatures
attempts    the time of one attempt, and its failure
network     connects to public addresses only
sending     one request, its time and the size of its response bounded
delivery    one worker's loop: store messages, send those that are due, retry, pause
"""
