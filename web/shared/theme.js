// Dark and light: as the system prefers, until the button says otherwise.

import {setIcon} from './icons.js';
import {forget, write} from './kept.js';

const NAME = 'fathom.theme';
const dark = matchMedia('(prefers-color-scheme: dark)');
const root = document.documentElement;

const isDark = () => root.dataset.theme ? root.dataset.theme === 'dark' : dark.matches;

export function startTheme(button) {
  const show = () => setIcon(button, isDark() ? 'sun' : 'moon', isDark() ? 'Light colours' : 'Dark colours');
  button.addEventListener('click', () => {
    const wanted = isDark() ? 'light' : 'dark';
    if ((wanted === 'dark') === dark.matches) {
      delete root.dataset.theme;
      forget(NAME);
    } else {
      root.dataset.theme = wanted;
      write(NAME, wanted);
    }
    show();
  });
  dark.addEventListener('change', show);
  show();
}
