// config.toml of the run that is looked at, and which keys differ where several are compared.

import {element} from './shared/dom.js';

// "optimizer.lr" -> "0.003", as far as one can say without a parser: what Fathom writes has a key a line, and lists and
// long texts begin on the line of theirs.
export function keysOf(toml) {
  const keys = new Map();
  let section = '', key = null;
  const sections = new Map();
  for (const line of toml.split('\n')) {
    const list = line.match(/^\[\[([\w.-]+)\]\]\s*$/), table = line.match(/^\[([\w.-]+)\]\s*$/), pair = line.match(/^([\w-]+)\s*=\s*(.*)$/);
    if (list) {
      const number = sections.get(list[1]) ?? 0;
      sections.set(list[1], number + 1);
      [section, key] = [`${list[1]}[${number}].`, null];
    } else if (table) {
      [section, key] = [`${table[1]}.`, null];
    } else if (pair) {
      key = section + pair[1];
      keys.set(key, pair[2]);
    } else if (key !== null && line !== '') {
      keys.set(key, `${keys.get(key)}\n${line}`);
    }
  }
  return keys;
}

export class Configuration {
  // load(id): a promise of the text.
  constructor(root, load) {
    this.root = root;
    this.load = load;
    this.texts = new Map();  // by the run's id
    this.shown = '';
  }

  async textOf({id, epoch}) {
    const known = this.texts.get(id);
    if (known?.epoch === epoch) return known.text;
    const text = await this.load(id).catch(() => '');
    this.texts.set(id, {epoch, text});
    return text;
  }

  // runs: [{id, epoch, name, colour}] with the one that is looked at first.
  async show(runs) {
    const what = JSON.stringify(runs.map(({id, epoch}) => [id, epoch]));
    if (what === this.shown) return;
    this.shown = what;
    const texts = await Promise.all(runs.map((run) => this.textOf(run)));
    if (this.shown !== what) return;
    this.root.hidden = texts.every((text) => text === '');
    const parts = runs.length > 1 ? [this.differences(runs, texts)] : [];
    this.root.replaceChildren(element('div', {class: 'card'}, ...parts,
      element('details', {open: this.open, ontoggle: ({target}) => { this.open = target.open; }},
        element('summary', {}, runs.length > 1 ? `config.toml of ${runs[0].name}` : 'config.toml'),
        element('pre', {class: 'config', tabindex: 0}, texts[0]))));
  }

  differences(runs, texts) {
    const all = texts.map(keysOf);
    const names = [...new Set(all.flatMap((keys) => [...keys.keys()]))]
      .filter((name) => name !== 'output' && new Set(all.map((keys) => keys.get(name))).size > 1).sort();
    if (names.length === 0) return element('p', {class: 'hint'}, 'The configurations are the same.');
    return element('div', {class: 'scroll'}, element('table', {class: 'differences'},
      element('caption', {}, 'What differs'),
      element('thead', {}, element('tr', {}, element('th', {scope: 'col'}, 'Key'),
        runs.map(({name, colour}) => element('th', {scope: 'col'}, element('span', {class: `swatch s${colour}`}), name)))),
      element('tbody', {}, names.map((name) => element('tr', {}, element('th', {scope: 'row'}, name),
        all.map((keys) => element('td', {}, keys.get(name) ?? '')))))));
  }
}
