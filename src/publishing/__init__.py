"""What a site tells other programs by itself: signed webhooks, HL7 messages, and the source of server-sent events."""
