// Which experts get how many tokens: all layers at a step, and one layer over the run.

import {element} from './shared/dom.js';
import {HeatMap, legend} from './heat_map.js';
import {number} from './format.js';

const times = (share) => `${number(share)}× its share`;

// Every n-th name, so that some ten of them have room; the first always.
const some = (texts, most) => {
  const every = Math.max(1, Math.ceil(texts.length / most));
  return texts.map((text, i) => i % every === 0 ? text : null);
};

function summaryOf(load, layerName) {
  let busiest = [0, 0], idlest = [0, 0], starved = 0, all = 0;
  load.forEach((row, r) => row.forEach((share, e) => {
    if (share > load[busiest[0]][busiest[1]]) busiest = [r, e];
    if (share < load[idlest[0]][idlest[1]]) idlest = [r, e];
    if (share < 0.5) ++starved;
    ++all;
  }));
  const name = ([r, e]) => `${layerName(r)}, expert ${e}, ${times(load[r][e])}`;
  return `Busiest: ${name(busiest)}. Idlest: ${name(idlest)}. ${starved} of ${all} get less than half of theirs.`;
}

export class Experts {
  constructor(root, say) {
    this.root = root;
    this.run = null;
    this.entry = null;  // null: the newest one
    this.layer = 0;
    const key = legend();
    this.atStep = new HeatMap({title: 'Expert load of all layers', across: 'experts'}, key, say);
    this.overTime = new HeatMap({title: 'Expert load over the run', across: 'steps'}, key, say);
    this.slider = element('input', {type: 'range', id: 'load-step', min: 0, oninput: () => {
      const newest = Number(this.slider.value) === this.run.loads.step.length - 1;
      this.entry = newest ? null : Number(this.slider.value);
      this.draw();
    }});
    this.stepName = element('output', {for: 'load-step'});
    this.layers = element('select', {id: 'load-layer', onchange: () => {
      this.layer = this.layers.selectedIndex;
      this.draw();
    }});
    root.append(
      element('div', {class: 'card experts'},
        element('div', {class: 'row'}, element('h3', {}, 'Load of every expert'), key),
        element('p', {class: 'hint'}, 'Tokens that an expert got in a step, over the mean of its layer.'),
        element('div', {class: 'maps'},
          element('section', {'aria-label': 'All layers at a step'},
            element('div', {class: 'row'}, element('label', {for: 'load-step'}, 'At step'), this.slider, this.stepName), this.atStep.element),
          element('section', {'aria-label': 'A layer over the run'},
            element('div', {class: 'row'}, element('label', {for: 'load-layer'}, 'Over the run,'), this.layers), this.overTime.element))));
  }

  // Numbers are those of parameters' names; those of MTP modules come after the model's own.
  layerName(row) {
    const number = this.run.expertLayers[row], own = this.run.start.layers;
    if (number === undefined) return `layer ${row + 1} with experts`;
    return own !== undefined && number >= own ? `MTP module ${number - own + 1}` : `layer ${number}`;
  }

  show(run) {
    if (run?.id !== this.run?.id) this.entry = null;
    this.run = run;
    this.root.hidden = !run || run.loads.step.length === 0;
    if (!this.root.hidden) this.draw();
  }

  draw() {
    const {step, load} = this.run.loads;
    const last = step.length - 1, entry = Math.min(this.entry ?? last, last), now = load[entry];
    const layers = now.map((_, r) => this.layerName(r));
    this.layer = Math.min(this.layer, layers.length - 1);
    this.slider.max = last;
    this.slider.value = entry;
    this.slider.setAttribute('aria-valuetext', `step ${step[entry]}`);
    this.stepName.textContent = `${step[entry].toLocaleString('en-US')}${this.entry === null ? ' (newest)' : ''}`;
    if (this.layers.options.length !== layers.length || this.layers.dataset.run !== this.run.id) {
      this.layers.replaceChildren(...layers.map((name) => element('option', {}, name)));
      this.layers.dataset.run = this.run.id;
    }
    this.layers.selectedIndex = this.layer;
    const experts = now[0].map((_, e) => String(e));
    const narrow = matchMedia('(max-width: 640px)').matches;
    this.atStep.show({values: now, rowNames: some(layers, 16), columnNames: some(experts, narrow ? 8 : 16),
                      describe: (r, e) => `${layers[r]}, expert ${e}: ${times(now[r][e])} at step ${step[entry]}`,
                      summary: summaryOf(now, (r) => layers[r])});
    const over = experts.map((_, e) => load.map((rows) => rows[this.layer][e]));
    const mean = (row) => row.reduce((sum, share) => sum + share, 0) / row.length;
    const means = over.map(mean), most = means.indexOf(Math.max(...means)), least = means.indexOf(Math.min(...means));
    this.overTime.show({values: over, rowNames: some(experts, 16), columnNames: some(step.map(String), narrow ? 4 : 6),
                        describe: (e, i) => `${layers[this.layer]}, expert ${e}: ${times(over[e][i])} at step ${step[i]}`,
                        summary: `Over the run expert ${most} got most, ${times(means[most])}, expert ${least} least, ${times(means[least])}.`});
  }
}
