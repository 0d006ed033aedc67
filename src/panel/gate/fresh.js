// Forgets what pages of another profile have kept in this browser at this address, then goes on to the tool.
(async () => {
  try {
    localStorage.clear();
    sessionStorage.clear();
    const forget = ({ name }) =>
      new Promise((done) => {
        const asked = indexedDB.deleteDatabase(name);
        asked.onsuccess = asked.onerror = asked.onblocked = done;
      });
    await Promise.all((await indexedDB.databases()).map(forget));
  } finally {
    location.replace('/');
  }
})();
