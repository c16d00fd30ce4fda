import { expect, it, onTestFinished } from 'vitest';
import { ShellStore } from './shell.svelte.ts';

function addMessage() {
  const message = document.createElement('article');
  message.tabIndex = -1;
  message.innerHTML = '<button>Reply in thread</button>';
  const panel = document.createElement('div');
  panel.className = 'panel';
  panel.innerHTML = '<textarea></textarea>';
  document.body.append(message, panel);
  onTestFinished(() => {
    message.remove();
    panel.remove();
  });
  return { message, panel, button: message.querySelector('button')!, field: panel.querySelector('textarea')! };
}

const THREAD = { conversationId: 'c1', rootId: 'm1' };

it('returns the focus to the message from which a thread was opened', async () => {
  const { message, panel, field } = addMessage();
  const shell = new ShellStore();
  message.focus();
  shell.openThread(THREAD);
  field.focus();
  panel.remove();
  shell.closePanel();
  await expect.poll(() => document.activeElement).toBe(message);
});

it('returns the focus to the message if the button that opened the thread is gone', async () => {
  const { message, panel, button, field } = addMessage();
  const shell = new ShellStore();
  button.focus();
  shell.openThread(THREAD);
  // Opened from the panel itself.
  field.focus();
  shell.openThread({ ...THREAD, rootId: 'm2' });
  button.remove();
  panel.remove();
  shell.closePanel();
  await expect.poll(() => document.activeElement).toBe(message);
});

it('leaves the focus where the user has put it', async () => {
  const { message, field } = addMessage();
  const shell = new ShellStore();
  message.focus();
  shell.openThread(THREAD);
  field.focus();
  shell.closePanel();
  await new Promise((done) => requestAnimationFrame(done));
  expect(document.activeElement).toBe(field);
});
