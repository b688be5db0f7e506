// Browsers start no worker for a page that was opened from a folder. There, a frame of the page's own stands in for the
// worker that searches. The name of this file keeps the theme from fetching one of that kind from a network.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    #inner;
    #ready;

    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.#inner = frame.contentWindow;
      this.#inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.#ready = new Promise((resolve) => {
        const script = this.#inner.document.createElement("script");
        script.src = url;
        script.onload = resolve;
        this.#inner.document.body.append(script);
      });
    }

    postMessage(data) {
      this.#ready.then(() => this.#inner.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
