// The conversation stays at its end while an answer grows, unless its reader has gone up.

const NEAR = 48;  // pixels

export class Scrolling {
  constructor(node, button) {
    Object.assign(this, {node, button, atEnd: true});
    node.addEventListener('scroll', () => {
      this.atEnd = node.scrollHeight - node.scrollTop - node.clientHeight < NEAR;
      button.hidden = this.atEnd;
    }, {passive: true});
    button.addEventListener('click', () => this.toEnd());
    // Fonts, formulas and windows change heights, too.
    const watch = new ResizeObserver(() => this.follow());
    watch.observe(node);
    watch.observe(node.firstElementChild);
  }

  follow() {
    if (this.atEnd) this.node.scrollTop = this.node.scrollHeight;
  }

  toEnd() {
    this.atEnd = true;
    this.button.hidden = true;
    this.follow();
  }
}
