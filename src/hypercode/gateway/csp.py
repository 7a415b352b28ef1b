"""A strict Content-Security-Policy for exported pages: the hashes of their own inline scripts, no others."""

import base64
import hashlib
from html.parser import HTMLParser
from pathlib import Path


class _InlineScripts(HTMLParser):
    """Collects the text of scripts without a src."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script" and not any(name == "src" for name, _ in attrs):
            self._inside = True
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += data


def policy_of(html: str) -> str:
    """Return the policy for one page."""
    parser = _InlineScripts()
    parser.feed(html)
    parser.close()
    hashes = sorted({f"'sha256-{_digest(text)}'" for text in parser.texts if text})
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self'", *hashes)),
            # Virtual rows are placed by inline style attributes, which hashes do not cover.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class PolicyCache:
    """Policies by path and modification time: a rebuilt page under an old policy would be dead."""

    def __init__(self) -> None:
        self._policies: dict[Path, tuple[int, str]] = {}

    def policy_of(self, path: Path, html: bytes, mtime_ns: int) -> str:
        known = self._policies.get(path)
        if known is None or known[0] != mtime_ns:
            known = (mtime_ns, policy_of(html.decode("utf-8", "replace")))
            self._policies[path] = known
        return known[1]
