"""An invoice as text."""

from __future__ import annotations

from tabulate import tabulate

from .invoice import Invoice


def as_text(invoice: Invoice) -> str:
    rows = [[line.text, line.quantity, f"{line.net:.2f}"] for line in invoice.lines]
    table = tabulate(rows, headers=["Item", "Pieces", "Net"], disable_numparse=True)
    return f"Invoice {invoice.number}\n{table}\nTotal {invoice.total:.2f}, due {invoice.due}"
