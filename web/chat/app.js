// The chat page: which chat is open, what is being answered, and what its buttons do.

import {notice, say} from './announce.js';
import {AnswerView} from './answer.js';
import {Answering} from './answering.js';
import {hasKey, model, setKey} from './api.js';
import {ChatList} from './chats.js';
import {Composer} from './composer.js';
import {addMessage, chosenPath, choose, markInterrupted, newChat} from './conversation.js';
import {closeDrawerOver, Drawer, startDrawers} from './drawers.js';
import {count, sentence, tokens} from './format.js';
import {askForKey} from './key_dialog.js';
import {QuestionView} from './question.js';
import {Scrolling} from './scrolling.js';
import {Settings} from './settings.js';
import {element} from './shared/dom.js';
import {loadChat, onChatsChanged, saveChat} from './storage.js';
import {startTheme} from './shared/theme.js';

const part = (id) => document.getElementById(id);
const underWay = new Map();  // of each chat's id, its Answering
let chat = newChat();
let views = [];
let served = null;

const composer = new Composer({mayAsk, send, stop});
const scrolling = new Scrolling(part('scroll'), part('latest'));
const chatsDrawer = new Drawer('chats', 'chats', 'Chats', true);
const settingsDrawer = new Drawer('settings', 'settings', 'Settings', false);
const list = new ChatList(part('chats'), {onNew: openNew, onClose: () => chatsDrawer.toggle(), onGone: (ids) => {
  ids.forEach((id) => underWay.get(id)?.stop());
  if (ids.includes(chat.id)) openNew();
}, chatOf, onRenamed: (renamed) => {
  save(renamed);
  if (renamed === chat) showTitle();
}});
const settings = new Settings(part('settings'), {
  onSystem: (text) => {
    chat.system = text;
    if (chat.children.length > 0) save(chat);
  },
  onClose: () => settingsDrawer.toggle(),
  onForgetKey: () => {
    setKey(null);
    settings.setHasKey(false);
    notice('The key is forgotten.');
  },
});

const actions = {
  show(message) {
    choose(chat, message);
    save(chat);
    const side = document.activeElement?.classList.contains('previous') ? 'previous' : 'next';
    showChat();
    // The hand stays where it was.
    const buttons = part('messages').querySelector(`[data-message="${message.id}"] .versions`);
    (buttons.querySelector(`.${side}:enabled`) ?? buttons.querySelector(':enabled')).focus();
  },
  retry(message) {
    if (!mayAsk()) return;
    stop();
    const parent = message.parent === null ? null : chat.messages[message.parent];
    // What has nothing to show makes room.
    if (message.content || message.reasoning) answer(addMessage(chat, parent, {role: 'assistant'}));
    else answer(message);
  },
  goOn: (message) => mayAsk() && answer(message),
  limit: () => showSetting('max_tokens'),
  edit(message, text) {
    if (!mayAsk()) return;
    stop();
    ask(message.parent === null ? null : chat.messages[message.parent], text);
  },
};

// The one that the page has, where it has it: what is kept may be older.
function chatOf(id) {
  return underWay.get(id)?.chat ?? (id === chat.id ? chat : loadChat(id));
}

function showSetting(name) {
  settingsDrawer.show();
  settings.focus(name);
}

// Nothing is asked with settings that are not what they seem.
function mayAsk() {
  const fault = settings.fault();
  if (!fault) return true;
  showSetting(fault.name);
  notice(`Not sent: ${fault.text}`);
  return false;
}

function save(one) {
  if (!saveChat(one)) notice('This browser has no more room for chats: delete some, or this one is not kept.');
  list.show();
}

function send(text) {
  ask(chosenPath(chat).at(-1) ?? null, text);
}

function ask(parent, text) {
  const question = addMessage(chat, parent, {role: 'user', content: text});
  answer(addMessage(chat, question, {role: 'assistant'}));
}

function answer(message) {
  const answering = new Answering(chat, message, {
    onChange: () => viewOf(message)?.schedule(),
    onEnd: (failure) => ended(answering, failure),
  });
  underWay.set(chat.id, answering);
  save(chat);
  if (location.hash !== `#${chat.id}`) history.pushState(null, '', `#${chat.id}`);
  list.show(chat.id);
  showChat();
  scrolling.toEnd();
  composer.focus();
  say('Asked.');
  answering.run();
}

async function ended(answering, failure) {
  const {chat: its, message} = answering;
  if (underWay.get(its.id) === answering) underWay.delete(its.id);
  if (loadChat(its.id)) save(its);
  const view = viewOf(message);
  view?.follow(null);
  scrolling.follow();
  if (its === chat) composer.setAnswering(underWay.has(chat.id));
  if (failure?.status === 401 && await wantKey(failure)) {
    if (its === chat && !underWay.has(chat.id)) answer(message);
  } else if (view && !failure) {
    say(message.state === 'stopped' ? 'Stopped.' : `The answer is whole: ${tokens(message.usage.output ?? 0)}.`);
  }
}

function stop() {
  underWay.get(chat.id)?.stop();
}

const viewOf = (message) => views.find((view) => view.message === message);

function showChat() {
  views.forEach((view) => view.drop());
  const path = chosenPath(chat);
  views = path.map((message) => message.role === 'user' ? new QuestionView(chat, message, actions) : new AnswerView(chat, message, actions));
  const answering = underWay.get(chat.id);
  const view = answering && viewOf(answering.message);
  if (view) {
    view.onRendered = () => scrolling.follow();
    view.follow(answering);
  }
  part('messages').replaceChildren(...views.length > 0 ? views.map(({node}) => node) : [welcome()]);
  composer.setAnswering(Boolean(answering));
  showTitle();
}

function showTitle() {
  document.title = chat.title ? `${chat.title} · Fathom` : 'Fathom chat';
}

function welcome() {
  return element('div', {class: 'welcome'}, element('p', {class: 'name'}, served?.id ?? 'Fathom'),
    element('p', {}, 'What you write goes to this server only, and is kept in this browser.'));
}

function open(id) {
  const live = underWay.get(id)?.chat;
  const kept = live ?? loadChat(id);
  if (!kept) {
    openNew();
    return;
  }
  if (!live) markInterrupted(kept);
  chat = kept;
  settings.setSystem(chat.system);
  list.show(chat.id);
  showChat();
  scrolling.toEnd();
}

function openNew() {
  chat = newChat();
  settings.setSystem('');
  if (location.hash) history.pushState(null, '', location.pathname + location.search);
  list.show(null);
  showChat();
  chatsDrawer.closeIfOver();
  composer.focus();
}

function openFromAddress() {
  const id = location.hash.slice(1);
  if (id === chat.id) return;
  if (id) open(id);
  else openNew();
  chatsDrawer.closeIfOver();
}

// One question at a time, however many requests were refused.
let asking = null;
function wantKey(failure) {
  asking ??= askForKey(hasKey() ? failure.message : '').then((given) => {
    asking = null;
    settings.setHasKey(hasKey());
    if (given && !served) findModel();
    return given;
  });
  return asking;
}

async function findModel() {
  try {
    served = await model();
  } catch (failure) {
    if (failure.status === 401) await wantKey(failure);
    else notice(`The model cannot be asked for. ${sentence(failure.message)}`);
    return;
  }
  part('model').textContent = served.id;
  part('context').textContent = `${count(served.max_model_len)} tokens of context`;
  settings.setDefaults(served.default_sampling);
  if (views.length === 0) showChat();
}

addEventListener('hashchange', openFromAddress);
addEventListener('popstate', openFromAddress);
addEventListener('pagehide', () => underWay.forEach((answering) => answering.leave()));
addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.defaultPrevented || part('key-dialog').open) return;
  if (!closeDrawerOver()) stop();
});
// A page that the browser had put aside finds the answers that it was reading gone.
addEventListener('pageshow', ({persisted}) => persisted && underWay.size > 0 && location.reload());
onChatsChanged((id) => {
  list.show();
  // What another page does to the chat that is open here shows, once it is not under way there.
  if (id !== chat.id || underWay.has(id)) return;
  const kept = loadChat(id);
  if (!kept || Object.values(kept.messages).some(({state}) => state === 'writing')) return;
  chat = kept;
  showChat();
});
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  composer.focus();
});

startTheme(part('theme'));
startDrawers();
settings.setHasKey(hasKey());
if (location.hash) openFromAddress();
else showChat();
list.show(location.hash ? chat.id : null);
findModel();
composer.focus();
