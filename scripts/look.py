"""Opens report pages in Chromium and holds what is drawn to what was recorded. Called by scripts/look.

Chromium is spoken to over two pipes (--remote-debugging-pipe), so that nothing but Python's own library is needed. What a page must
show is read from expected.json beside it, which is written from the records and not from the page.
"""

import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WIDE, PHONE = (1280, 900), (360, 740)
# A page of a thousand cells is to be drawn within two seconds; a busy machine may take longer, a broken page much longer.
WANTED_S, BOUND_S = 2.0, 10.0
MOST_BYTES = 10_000_000
# A browser that says nothing for so long has hung.
PATIENCE_S = 60
# Sections of which every single text is looked at.
FEW = 100
# Beyond this a screenshot shows only the beginning of a page.
MOST_PIXELS = 9_000


class Browser:
    """One Chromium with one page."""

    def __init__(self, program, profile):
        to_read, self.send_to = os.pipe()
        self.read_from, to_write = os.pipe()
        arguments = [
            "--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
            "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank",
        ]
        if os.geteuid() == 0:
            arguments.insert(0, "--no-sandbox")
        # It reads orders from descriptor 3 and answers on 4.
        shell = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        self.process = subprocess.Popen(
            ["bash", "-c", shell, program, *arguments], pass_fds=(to_read, to_write),
            env={**os.environ, "TMPDIR": profile},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.buffer, self.next_id, self.session, self.target, self.events = b"", 0, None, None, []
        self.tab()

    def tab(self):
        """A new page in place of the one before, in a process of its own."""
        before, self.session = self.session, None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        if before:
            self.ask("Target.closeTarget", targetId=self.target)
        self.target, self.session = target, session
        self.ask("Page.enable")
        self.ask("Page.setLifecycleEventsEnabled", enabled=True)
        self.ask("Performance.enable", timeDomain="threadTicks")
        for domain in ("Runtime", "Log", "Network", "DOM"):
            self.ask(f"{domain}.enable")

    def processor_s(self):
        """What the page has cost its main thread, in seconds of processor time: another's load does not count."""
        metrics = self.ask("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    def ask(self, method, **parameters):
        """Gives an order and waits for its answer; what happens meanwhile is kept in `events`."""
        self.next_id += 1
        given = {name: value for name, value in parameters.items() if value is not None}
        order = {"id": self.next_id, "method": method, "params": given}
        if self.session:
            order["sessionId"] = self.session
        os.write(self.send_to, json.dumps(order).encode() + b"\0")
        while True:
            message = self.receive(PATIENCE_S)
            if message.get("id") == self.next_id:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message.get("result", {})
            self.events.append(message)

    def receive(self, patience):
        """The next message."""
        deadline = time.monotonic() + patience
        while b"\0" not in self.buffer:
            if not select.select([self.read_from], [], [], max(0, deadline - time.monotonic()))[0]:
                raise RuntimeError("Chromium does not answer")
            piece = os.read(self.read_from, 1 << 20)
            if not piece:
                raise RuntimeError("Chromium has ended")
            self.buffer += piece
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def shape(self, size, dark=False, media="", script=True):
        """How the page is to be looked at."""
        self.ask("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=size == PHONE)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.ask("Emulation.setScriptExecutionDisabled", value=not script)

    def open(self, url):
        """Opens a page and returns how long it took until it was drawn, in seconds."""
        self.events.clear()
        began = time.monotonic()
        loader = self.ask("Page.navigate", url=url).get("loaderId")
        # Within a page that is open already nothing is loaded.
        while loader and not any(is_load(event, loader) for event in self.events):
            self.events.append(self.receive(PATIENCE_S))
        # A screenshot of one pixel is answered when what is on the page has been laid out and painted.
        self.ask("Page.captureScreenshot", clip={"x": 0, "y": 0, "width": 1, "height": 1, "scale": 1})
        return time.monotonic() - began

    def evaluate(self, expression):
        """The value of an expression in the page; also where the page itself may run no script."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", "the expression failed"))
        return answer["result"].get("value")

    def shoot(self, path):
        """A picture of the whole page."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], MOST_PIXELS), "scale": 1}
        # What is beyond the window would make it as high as the page, which a page of a thousand cells does not bear.
        whole = size["height"] <= MOST_PIXELS
        picture = self.ask("Page.captureScreenshot", clip=clip if whole else None, captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(picture["data"]))

    def press(self, key, code):
        """A key, pressed and released."""
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def close(self):
        """Ends it, and waits until it has ended."""
        try:
            self.session = None
            self.ask("Browser.close")
        except (RuntimeError, OSError):
            self.process.kill()
        self.process.wait(30)


def is_load(event, loader):
    """Whether an event says that a document has been loaded."""
    of = event.get("params", {})
    return event.get("method") == "Page.lifecycleEvent" and of.get("name") == "load" and of.get("loaderId") == loader


# The text whose contrast is too low against what is behind it (WCAG 2.2, 1.4.3): 4.5, or 3 for large text.
CONTRAST = """(() => {
  const colour = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = c => [0, 1, 2].map(i => c[i] / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) {
    const c = colour(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const bad = new Map();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest('style, title, defs, .l.full')) continue;
    const style = getComputedStyle(e), svg = e instanceof SVGElement;
    const a = light(colour(svg ? style.fill : style.color)), b = light(behind(svg ? e.closest('div, figure') : e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), size = parseFloat(style.fontSize);
    const wanted = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (ratio < wanted) bad.set(e.tagName + '.' + (e.getAttribute('class') || ''), ratio.toFixed(2) + ' ' + e.textContent.slice(0, 30));
  }
  return [...bad].map(([what, how]) => what + ' ' + how);
})()"""

# Links that lead nowhere, ids that occur twice, pictures without words, tables without a caption.
BROKEN = """(() => {
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id), all = new Set(ids), wrong = [];
  if (all.size !== ids.length) wrong.push('an id occurs twice');
  for (const a of document.querySelectorAll('a[href]'))
    if (!a.getAttribute('href').startsWith('#') || !all.has(a.getAttribute('href').slice(1))) wrong.push('link to ' + a.getAttribute('href'));
  for (const s of document.querySelectorAll('svg[role=img]')) if (!s.getAttribute('aria-label')) wrong.push('a picture without words');
  for (const s of document.querySelectorAll('svg:not([role=img])'))
    if (!s.closest('[aria-hidden=true]') && !s.parentElement.closest('svg')) wrong.push('a picture that is neither told nor hidden');
  for (const t of document.querySelectorAll('table')) if (!t.caption) wrong.push('a table without a caption');
  let level = 0;
  for (const h of document.querySelectorAll('h1, h2, h3, h4')) { const n = +h.tagName[1]; if (n > level + 1) wrong.push('a heading skips a level: ' + h.textContent); level = n; }
  if (document.querySelectorAll('h1').length !== 1) wrong.push('not one main heading');
  return [...new Set(wrong)].slice(0, 8);
})()"""

DRAWN = """(() => ({
  boxes: document.querySelectorAll('.map .box').length,
  sections: document.querySelectorAll('details.cell').length,
  marks: [...document.querySelectorAll('details.cell')].map(d => d.querySelectorAll('.probes .p').length),
  figures: document.querySelectorAll('figure.time').length,
}))()"""


class Look:
    """The findings of one run of this script."""

    def __init__(self, browser, pictures):
        self.browser, self.pictures, self.wrong = browser, pictures, []

    def hold(self, page, truth, what):
        """Notes what is not as it should be."""
        if not truth:
            self.wrong.append(f"{page}: {what}")

    def quiet(self, page):
        """Nothing was fetched but the page, and nothing was complained of."""
        for event in self.browser.events:
            method, of = event.get("method"), event.get("params", {})
            if method == "Network.requestWillBeSent":
                url = of["request"]["url"]
                self.hold(page, url.startswith(("file:", "data:", "about:")), f"a request to {url}")
            elif method == "Log.entryAdded" and of["entry"]["level"] in ("error", "warning"):
                self.hold(page, False, f"console: {of['entry']['text']}")
            elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
                self.hold(page, False, f"console: {json.dumps(of)[:200]}")

    def look(self, path, expected):
        """One page, in every way it is looked at."""
        page, url, b = path.stem, path.resolve().as_uri(), self.browser
        size = path.stat().st_size
        self.hold(page, size < MOST_BYTES, f"{size:,} bytes, and {MOST_BYTES:,} are the most")
        b.tab()
        b.shape(WIDE)
        took, cost = b.open(url), b.processor_s()
        slow = " (slow)" if cost > WANTED_S else ""
        print(f"{page}: {size / 1e6:.2f} MB, drawn in {took:.2f} s, {cost:.2f} s of a processor{slow}", flush=True)
        self.hold(page, cost < BOUND_S, f"drawing it took {cost:.1f} s of a processor")
        self.quiet(page)
        drawn = b.evaluate(DRAWN)
        if expected:
            for what in ("boxes", "sections", "figures"):
                self.hold(page, drawn[what] == expected[what], f"{drawn[what]} {what}, and {expected[what]} were expected")
            if expected.get("marks") is not None:
                self.hold(page, drawn["marks"] == expected["marks"], f"marks {drawn['marks']}, expected {expected['marks']}")
        for wrong in b.evaluate(BROKEN):
            self.hold(page, False, wrong)
        for dark in (False, True):
            b.shape(WIDE, dark)
            # Looking at every text of a page of a thousand cells takes minutes, and they are of the same style as few.
            for low in b.evaluate(CONTRAST) if drawn["sections"] <= FEW else ():
                self.hold(page, False, f"contrast in the {'dark' if dark else 'light'}: {low}")
            if self.pictures:
                b.shoot(self.pictures / f"{page}-{'dark' if dark else 'light'}.png")
        self.keys(page)
        b.shape(PHONE)
        wide = b.evaluate("document.documentElement.scrollWidth")
        self.hold(page, wide <= PHONE[0], f"{wide} pixels wide on a phone of {PHONE[0]}")
        if self.pictures:
            b.shoot(self.pictures / f"{page}-phone.png")
            b.shape(WIDE, media="print")
            b.shoot(self.pictures / f"{page}-print.png")
        self.without_script(page, url, drawn)

    def keys(self, page):
        """What is reached with the keyboard shows that it is."""
        self.browser.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
        for _ in range(4):
            self.browser.press("Tab", 9)
            seen = self.browser.evaluate(
                "(s => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2)(getComputedStyle(document.activeElement))"
            )
            self.hold(page, seen, "the focus is not seen")

    def without_script(self, page, url, drawn):
        """The same with scripting off; and a link to a cell opens it."""
        b = self.browser
        b.shape(WIDE, script=False)
        b.open(url)
        self.hold(page, b.evaluate(DRAWN) == drawn, "without scripting something else is drawn")
        if drawn["sections"]:
            last = f"cell-{drawn['sections'] - 1}"
            b.open(f"{url}#{last}")
            shown = f"(e => e.closest('details').open && e.checkVisibility() && e.getBoundingClientRect().top < innerHeight)(document.getElementById('{last}'))"
            self.hold(page, b.evaluate(shown), f"the link to {last} does not open it")
        if b.evaluate("!!document.getElementById('show-failing')"):
            b.evaluate("document.getElementById('show-failing').click()")
            b.open(f"{url}#cells")
            shown = "[...document.querySelectorAll('details.cell')].filter(d => d.checkVisibility()).map(d => d.classList[1])"
            outcomes = b.evaluate(shown)
            only = bool(outcomes) and set(outcomes) == {"failing"}
            self.hold(page, only, "choosing the failing cells does not narrow the list to them")
        self.quiet(page)
        b.shape(WIDE)


def main():
    program, pictures, pages = sys.argv[1], sys.argv[2], [Path(page) for page in sys.argv[3:]]
    if pictures:
        Path(pictures).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            look = Look(browser, Path(pictures) if pictures else None)
            for page in pages:
                truth = page.parent / "expected.json"
                expected = json.loads(truth.read_text()).get(page.name) if truth.exists() else None
                look.look(page, expected)
        finally:
            browser.close()
    for wrong in look.wrong:
        print(f"wrong: {wrong}")
    return 1 if look.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
