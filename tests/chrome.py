"""A real browser, headless, driven over the pipes of the DevTools protocol: no driver program and no library between.

https://chromedevtools.github.io/devtools-protocol/ has the commands and events.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe")
PATIENCE = 120  # seconds for one answer, on a busy machine


def program():
    """Where a browser is; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser(profile):
    """A browser with an empty profile in a folder."""
    (its_in, ours_out), (ours_in, its_out) = os.pipe(), os.pipe()
    words = [program(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    command = ["bash", "-c", f'exec "$@" 3<&{its_in} 4>&{its_out}', "bash", *words]  # the protocol is spoken on 3 and 4
    process = subprocess.Popen(command, pass_fds=(its_in, its_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(its_in)
    os.close(its_out)
    pipes = Pipes(ours_in, ours_out)
    try:
        yield pipes
        pipes.ask("Browser.close")
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(ours_in)
        os.close(ours_out)


class Pipes:
    """Commands out, answers and events in, each a JSON text that ends with a zero byte."""

    def __init__(self, incoming, outgoing):
        self.incoming, self.outgoing, self.rest, self.number, self.events = incoming, outgoing, b"", 0, []

    def ask(self, method, session=None, **parameters):
        """The answer to one command; events that come before it are kept."""
        self.number += 1
        asked = {"id": self.number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self.outgoing, json.dumps(asked).encode() + b"\0")
        while (told := self._next()).get("id") != asked["id"]:
            self.events.append(told)
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']}")
        return told["result"]

    def wait(self, method):
        """The first event of a kind that nobody waited for yet."""
        while not (found := next((event for event in self.events if event["method"] == method), None)):
            self.events.append(self._next())
        self.events.remove(found)
        return found["params"]

    def _next(self):
        until = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            if not select.select([self.incoming], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self.incoming, 1 << 20)
            if not piece:
                raise EOFError("the browser is gone")
            self.rest += piece
        line, _, self.rest = self.rest.partition(b"\0")
        return json.loads(line)


class Tab:
    """One page as a reader has it: how wide its window is, in which colours, what was typed; and what it asked of the network or complained of."""

    def __init__(self, pipes, width=1280, height=900, scheme="light", phone=False):
        self.pipes = pipes
        target = pipes.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = pipes.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        self.ask("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features.items()])

    def ask(self, method, **parameters):
        return self.pipes.ask(method, self.session, **parameters)

    def open(self, path):
        self.ask("Page.navigate", url=path.resolve().as_uri())
        self.pipes.wait("Page.loadEventFired")

    def run(self, script):
        """The value of an expression of the page."""
        told = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise RuntimeError(told["exceptionDetails"])
        return told["result"].get("value")

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {"text": " "} if key == " " and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code={" ": "Space"}.get(key, key), **text)

    def type(self, text):
        self.ask("Input.insertText", text=text)

    def accessible(self):
        """(role, name) of all that a screen reader is told."""
        nodes = self.ask("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"] and "role" in node]

    def picture(self, whole=False):
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def complaints(self):
        """Errors and warnings of the console, exceptions, and what the page asked for beside its own file."""
        mine = [event for event in self.pipes.events if event.get("sessionId") == self.session]
        said = [event["params"] for event in mine if event["method"] in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")]
        urls = [event["params"]["request"]["url"] for event in mine if event["method"] == "Network.requestWillBeSent"]
        return said + [url for url in urls[1:] if not url.startswith("data:")]
