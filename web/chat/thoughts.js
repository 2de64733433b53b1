// The thinking panel above an answer: open while the model thinks, closed when the answer begins unless its reader has
// taken that in hand.

import {rate, seconds, tokens} from './format.js';
import {GrowingMarkdown} from './markdown.js';
import {element} from './shared/dom.js';

export class Thoughts {
  constructor() {
    this.title = element('summary', {onclick: () => { this.touched = true; }});
    this.body = element('div', {class: 'thoughts-body prose'});
    this.node = element('details', {class: 'thoughts', hidden: true}, this.title, this.body);
    this.text = new GrowingMarkdown(this.body);
    this.touched = this.whole = false;
    this.shown = 0;  // characters
  }

  // answering: null when nothing is being written.
  update(message, answering) {
    const {reasoning} = message;
    if (!reasoning) return;
    const isThinking = Boolean(answering) && !message.content;
    if (this.node.hidden) {
      this.node.hidden = false;
      this.node.open = !message.content;
    }
    const isWhole = !isThinking;
    if (reasoning.length !== this.shown || isWhole !== this.whole) {
      // More can come after the end where a stopped answer goes on.
      if (this.whole) this.text = new GrowingMarkdown(this.body);
      this.text.update(reasoning, isWhole);
      this.shown = reasoning.length;
      if (isWhole && !this.whole && !this.touched && message.content) this.node.open = false;
      this.whole = isWhole;
    }
    this.node.classList.toggle('live', isThinking);
    this.title.textContent = isThinking ? this.live(answering) : this.past(message, answering);
  }

  live(answering) {
    const speed = answering.tokensPerSecond;
    return ['Thinking', seconds(answering.thoughtSeconds), tokens(answering.thoughtTokens), ...speed ? [rate(speed)] : []].join(' · ');
  }

  past(message, answering) {
    if (answering?.thoughtTokens > 0) {
      return `Thought for ${seconds(answering.thoughtSeconds)}, ${tokens(answering.thoughtTokens)}`;
    }
    const {thought} = message;
    return thought ? `Thought for ${seconds(thought.seconds)}, ${tokens(thought.tokens)}` : 'Thoughts';
  }
}
