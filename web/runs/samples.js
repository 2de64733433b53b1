// What the model wrote while it was trained. All of it is text and stays text.

import {element} from './shared/dom.js';
import {number} from './format.js';

export class Samples {
  // load(run, step): a promise of the samples of a step.
  constructor(root, load) {
    this.root = root;
    this.load = load;
    this.run = null;
    this.chosen = null;  // null: the newest
    this.shown = '';
    this.slider = element('input', {type: 'range', id: 'sample-step', min: 0, oninput: () => this.choose(Number(this.slider.value))});
    this.name = element('output', {for: 'sample-step'});
    const by = (distance) => () => this.choose(this.index() + distance);
    this.previous = element('button', {type: 'button', onclick: by(-1)}, 'Earlier');
    this.next = element('button', {type: 'button', onclick: by(1)}, 'Later');
    this.texts = element('div', {class: 'texts'});
    root.append(element('div', {class: 'card'},
      element('div', {class: 'row'}, element('label', {for: 'sample-step'}, 'Written at step'), this.slider, this.name, this.previous, this.next), this.texts));
  }

  steps() {
    return [...new Set(this.run.samples)];
  }

  index() {
    const steps = this.steps(), at = steps.indexOf(this.chosen);
    return at < 0 ? steps.length - 1 : at;
  }

  choose(index) {
    const steps = this.steps(), inside = Math.min(Math.max(index, 0), steps.length - 1);
    this.chosen = inside === steps.length - 1 ? null : steps[inside];
    this.show(this.run);
  }

  async show(run) {
    if (run?.id !== this.run?.id) this.chosen = null;
    this.run = run;
    this.root.hidden = !run || run.samples.length === 0;
    if (this.root.hidden) return;
    const steps = this.steps(), index = this.index(), step = steps[index];
    this.slider.max = steps.length - 1;
    this.slider.value = index;
    this.slider.setAttribute('aria-valuetext', `step ${step}`);
    this.name.textContent = `${step.toLocaleString('en-US')}${this.chosen === null ? ' (newest)' : ''}`;
    this.previous.disabled = index === 0;
    this.next.disabled = index === steps.length - 1;
    const what = `${run.id} ${run.epoch} ${step} ${run.samples.filter((at) => at === step).length}`;
    if (what === this.shown) return;
    this.shown = what;
    const samples = await this.load(run, step).catch(() => null);
    if (this.shown !== what) return;  // another one was chosen meanwhile
    if (samples === null) {
      this.shown = '';  // it is asked for again with the next news
      return;
    }
    this.texts.replaceChildren(...samples.map(({text, prompt, reward}) => {
      const asked = prompt && text.startsWith(prompt) ? prompt : '';
      return element('article', {class: 'sample'},
        reward === undefined ? null : element('p', {class: 'reward'}, `reward ${number(reward)}`),
        element('pre', {tabindex: 0}, asked ? element('span', {class: 'prompt', title: 'the prompt'}, asked) : null, text.slice(asked.length)));
    }));
  }
}
