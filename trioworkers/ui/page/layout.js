// Where the boxes of a graph stand: in layers, with few crossings. Pure figures.

/** Pixels between two layers, and between two boxes of one. */
const GAPS = { across: [84, 26], down: [54, 32] };
const SWEEPS = 12;
const WAY_PLACE = 14;

/**
 * Lay out a graph.
 *
 * @param boxes `[{key, width, height}]`.
 * @param arrows `[{start, end}]`, between keys.
 * @param direction "across", from left to right, or "down".
 * @returns `{width, height, places, ways}`: `places` has the middle `{x, y}` of each box by key,
 *   `ways` a list of points for each arrow, from the border of a box to that of another.
 */
export function layout(boxes, arrows, direction) {
  const isAcross = direction === "across";
  const [between, beside] = GAPS[direction];
  const nodes = new Map(boxes.map((box) => [box.key, newNode(box, isAcross)]));
  const edges = forwards(
    nodes,
    arrows.filter(({ start, end }) => start !== end && nodes.has(start) && nodes.has(end)),
  );
  setLayers(nodes, edges);
  const chains = new Map(edges.map((edge) => [edge, chain(nodes, edge)]));
  const layers = inLayers(nodes);
  sortLayers(layers);
  const depth = placeAlong(layers, between);
  const breadth = placeBeside(layers, beside);
  const point = (node, along) =>
    isAcross ? { x: along, y: node.beside } : { x: node.beside, y: along };
  const places = new Map(
    boxes.map(({ key }) => [key, point(nodes.get(key), nodes.get(key).along)]),
  );
  const ways = arrows.map((arrow) => {
    const edge = edges.find((one) => one.arrow === arrow);
    return edge === undefined ? [] : wayOf(chains.get(edge), edge.isTurned, point);
  });
  const [width, height] = isAcross ? [depth, breadth] : [breadth, depth];
  return { width, height, places, ways };
}

function newNode({ key, width, height }, isAcross) {
  const [length, girth] = isAcross ? [width, height] : [height, width];
  return { key, length, girth, layer: 0, along: 0, beside: 0, before: [], after: [] };
}

/** Return the arrows as edges, with those turned round that close a circle. */
function forwards(nodes, arrows) {
  const leaving = new Map(Array.from(nodes.keys(), (key) => [key, []]));
  for (const arrow of arrows) leaving.get(arrow.start).push(arrow);
  const [isOpen, isDone, turned] = [new Set(), new Set(), new Set()];
  for (const root of nodes.keys()) {
    const path = isDone.has(root) ? [] : [[root, 0]];
    while (path.length) {
      const top = path.at(-1);
      const [key, next] = top;
      isOpen.add(key);
      const arrow = leaving.get(key)[next];
      top[1] += 1;
      if (arrow === undefined) {
        isOpen.delete(key);
        isDone.add(key);
        path.pop();
      } else if (isOpen.has(arrow.end)) turned.add(arrow);
      else if (!isDone.has(arrow.end)) path.push([arrow.end, 0]);
    }
  }
  return arrows.map((arrow) => {
    const isTurned = turned.has(arrow);
    const [start, end] = isTurned ? [arrow.end, arrow.start] : [arrow.start, arrow.end];
    return { arrow, isTurned, start: nodes.get(start), end: nodes.get(end) };
  });
}

/** Put each node as many layers down as the longest way to it has edges. */
function setLayers(nodes, edges) {
  const missing = new Map(Array.from(nodes.values(), (node) => [node, 0]));
  for (const edge of edges) missing.set(edge.end, missing.get(edge.end) + 1);
  const ready = Array.from(nodes.values()).filter((node) => missing.get(node) === 0);
  for (const node of ready) {
    for (const edge of edges) {
      if (edge.start !== node) continue;
      edge.end.layer = Math.max(edge.end.layer, node.layer + 1);
      missing.set(edge.end, missing.get(edge.end) - 1);
      if (missing.get(edge.end) === 0) ready.push(edge.end);
    }
  }
}

/** Return the nodes of an edge, with a new one in each layer that it passes. */
function chain(nodes, { start, end }) {
  const found = [start];
  for (let layer = start.layer + 1; layer < end.layer; layer += 1) {
    const way = newNode({ key: Symbol("way"), width: WAY_PLACE, height: WAY_PLACE }, true);
    way.layer = layer;
    nodes.set(way.key, way);
    found.push(way);
  }
  found.push(end);
  for (let index = 1; index < found.length; index += 1) {
    found[index - 1].after.push(found[index]);
    found[index].before.push(found[index - 1]);
  }
  return found;
}

function inLayers(nodes) {
  const layers = [];
  for (const node of nodes.values()) (layers[node.layer] ??= []).push(node);
  return layers;
}

/** Move each node to the mean of its neighbours, from the front and from the back in turn. */
function sortLayers(layers) {
  const number = (layer) => layer.forEach((node, index) => (node.index = index));
  layers.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isForth = sweep % 2 === 0;
    const order = isForth ? layers : [...layers].reverse();
    for (const layer of order) {
      for (const node of layer) {
        const near = isForth ? node.before : node.after;
        node.weight = near.length ? mean(near.map((one) => one.index)) : node.index;
      }
      layer.sort((one, other) => one.weight - other.weight || one.index - other.index);
      number(layer);
    }
  }
}

function placeAlong(layers, gap) {
  let at = 0;
  for (const layer of layers) {
    const length = Math.max(...layer.map((node) => node.length));
    for (const node of layer) node.along = at + length / 2;
    at += length + gap;
  }
  return Math.max(0, at - gap);
}

/** Place the nodes of each layer side by side, as near to their neighbours as there is room. */
function placeBeside(layers, gap) {
  for (const layer of layers)
    spread(
      layer,
      layer.map(() => 0),
      gap,
    );
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isForth = sweep % 2 === 0;
    for (const layer of isForth ? layers : [...layers].reverse()) {
      const wanted = layer.map((node) => {
        const near = isForth ? node.before : node.after;
        return near.length ? mean(near.map((one) => one.beside)) : node.beside;
      });
      spread(layer, wanted, gap);
    }
  }
  const all = layers.flat();
  const least = Math.min(...all.map((node) => node.beside - node.girth / 2));
  for (const node of all) node.beside -= least;
  return Math.max(0, ...all.map((node) => node.beside + node.girth / 2));
}

/** Place nodes in their order where they want to be; those that meet share what they want. */
function spread(layer, wanted, gap) {
  const blocks = [];
  layer.forEach((node, index) => {
    let block = { nodes: [node], size: node.girth, middle: wanted[index] };
    while (blocks.length && start(block) < end(blocks.at(-1)) + gap)
      block = joined(blocks.pop(), block, gap);
    blocks.push(block);
  });
  for (const block of blocks) {
    let at = start(block);
    for (const node of block.nodes) {
      node.beside = at + node.girth / 2;
      at += node.girth + gap;
    }
  }
}

const start = (block) => block.middle - block.size / 2;
const end = (block) => block.middle + block.size / 2;

function joined(one, other, gap) {
  const size = one.size + gap + other.size;
  // Where each would have the middle of both.
  const ofOne = one.middle + (size - one.size) / 2;
  const ofOther = other.middle - (size - other.size) / 2;
  const [n, m] = [one.nodes.length, other.nodes.length];
  return {
    nodes: [...one.nodes, ...other.nodes],
    size,
    middle: (ofOne * n + ofOther * m) / (n + m),
  };
}

function wayOf(nodes, isTurned, point) {
  const last = nodes.length - 1;
  const points = nodes.map((node, index) => {
    const edge = index === 0 ? node.length / 2 : index === last ? -node.length / 2 : 0;
    return point(node, node.along + edge);
  });
  return isTurned ? points.reverse() : points;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
