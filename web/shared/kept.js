// What this browser keeps for a page. Nothing of it leaves the machine.

// Null where there is nothing, or nothing that can be read.
export function read(name, store = localStorage) {
  try {
    return JSON.parse(store.getItem(name));
  } catch {
    return null;
  }
}

// Whether there was room.
export function write(name, value, store = localStorage) {
  try {
    store.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function forget(name, store = localStorage) {
  try {
    store.removeItem(name);
  } catch {
    // Then it is not there.
  }
}
