// The end of live.js and of table.js, which have a Store and a View each: what anywidget calls. It is put behind them.
//
// Rule: all views of a widget in a browser page share one store, which lives as long as the widget's model.

const stores = new Map(); // by the key of a widget

function storeOf(model) {
  const key = model.get("key");
  if (!stores.has(key)) stores.set(key, new Store(model));
  return stores.get(key);
}

export default {
  initialize({ model }) {
    storeOf(model);
    return () => stores.delete(model.get("key"));
  },
  render({ model, el }) {
    const view = new View(storeOf(model), el);
    return () => view.close();
  },
};
