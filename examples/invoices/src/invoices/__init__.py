"""Invoices with payment terms, tax and instalments."""
