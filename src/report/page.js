// Draws the report from the numbers in the element `data`. Text from the data only ever becomes text nodes.
'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const root = document.documentElement;
  const systemDark = window.matchMedia('(prefers-color-scheme: dark)');
  const charts = [];
  let printing = false;

  // ---- Small tools ----

  const byId = id => document.getElementById(id);
  const within = (id, selector) => byId(id).querySelector(selector);
  const unique = values => [...new Set(values)];
  const colour = name => getComputedStyle(root).getPropertyValue('--' + name).trim();
  const isNumber = value => typeof value === 'number' && Number.isFinite(value);

  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(properties)) {
      if (key in element) element[key] = value;
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  function show(value) {
    if (value === null || value === undefined || value === '') return '–';
    if (typeof value !== 'number') return String(value);
    if (Number.isInteger(value)) return String(value);
    const size = Math.abs(value);
    return size >= 1e6 || size < 1e-3 ? value.toExponential(3) : String(Number(value.toPrecision(5)));
  }

  const percent = value => isNumber(value) ? (100 * value).toFixed(2) + ' %' : '–';
  const byLayer = (a, b) => (a === '-') - (b === '-') || Number(a) - Number(b);
  const layersOf = rows => unique(rows.map(row => row.layer)).sort(byLayer);
  const kindsOf = rows => unique(rows.map(row => row.tensor)).sort();
  const layerName = layer => layer === '-' ? 'outside blocks' : 'layer ' + layer;

  function setOptions(select, options) {
    const before = select.value;
    select.replaceChildren(...options.map(([value, text]) => make('option', {value, textContent: text})));
    if (options.some(([value]) => String(value) === before)) select.value = before;
    select.parentElement.hidden = options.length < 2;
  }

  // ---- Tables ----

  // columns: {key, label, text: left-aligned, show: value => string, mark: row => class name, note: row => string}
  function table(place, caption, columns, rows, sortKey, descending) {
    if (rows.length === 0) return place.replaceChildren();
    const body = make('tbody');
    const heads = columns.map(column => make('th', {scope: 'col', className: column.text ? 'text' : ''},
      make('button', {type: 'button', textContent: column.label, onclick: () => sort(column)})));
    let current = null;
    let down = false;

    function order(a, b) {
      const x = a[current.key], y = b[current.key];
      const missing = v => v === null || v === undefined;
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      const sign = typeof x === 'number' ? x - y
        : String(x).localeCompare(String(y), 'en', {numeric: true});
      return down ? -sign : sign;
    }

    function cell(column, row) {
      const names = [column.text ? 'text' : '', column.mark ? column.mark(row) : ''].join(' ').trim();
      const td = make('td', {className: names}, (column.show || show)(row[column.key]));
      if (column.note) td.append(' ', make('small', {textContent: column.note(row)}));
      return td;
    }

    function sort(column, startDown) {
      down = startDown !== undefined ? startDown : column === current ? !down : !column.text;
      current = column;
      heads.forEach((head, i) => {
        if (columns[i] === column) head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        else head.removeAttribute('aria-sort');
      });
      body.replaceChildren(...[...rows].sort(order).map(row =>
        make('tr', {}, ...columns.map(c => cell(c, row)))));
    }

    sort(columns.find(column => column.key === sortKey) || columns[0], Boolean(descending));
    place.tabIndex = 0;
    place.setAttribute('role', 'region');
    place.setAttribute('aria-label', caption);
    place.replaceChildren(make('table', {}, make('caption', {className: 'unseen', textContent: caption}),
      make('thead', {}, make('tr', {}, ...heads)), body));
  }

  function nameList(place, lists) {
    place.replaceChildren(...lists.filter(([, names]) => names.length > 0).map(([label, names]) =>
      make('details', {}, make('summary', {textContent: `${label} (${names.length})`}),
        make('ul', {}, ...names.map(name => make('li', {textContent: name}))))));
  }

  // ---- Maps: rows x columns of coloured cells, with values under the pointer and the arrow keys ----

  function mix(low, high, t) {
    const part = (text, i) => parseInt(text.slice(1 + 2 * i, 3 + 2 * i), 16);
    return 'rgb(' + [0, 1, 2].map(i => Math.round(part(low, i) + t * (part(high, i) - part(low, i)))).join(',') + ')';
  }

  function ramp() {
    const [low, middle, high] = ['map-0', 'map-1', 'map-2'].map(colour);
    return t => t < 0.5 ? mix(low, middle, 2 * t) : mix(middle, high, 2 * t - 1);
  }

  // spec: {label, rows, columns: labels; at(r, c): {value, mark?, text} or null; log: bool}
  function heatMap(place, spec) {
    const values = [];
    spec.rows.forEach((_, r) => spec.columns.forEach((__, c) => {
      const cell = spec.at(r, c);
      if (cell && isNumber(cell.value) && (!spec.log || cell.value > 0)) values.push(cell.value);
    }));
    const least = values.reduce((a, b) => Math.min(a, b), Infinity);
    const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
    const scale = v => {
      if (most <= least) return 0.5;
      if (!spec.log) return (v - least) / (most - least);
      return v <= 0 ? 0 : Math.log(v / least) / Math.log(most / least);
    };

    const canvas = make('canvas', {tabIndex: 0});
    canvas.setAttribute('role', 'application');
    canvas.setAttribute('aria-label', spec.label + '. Arrow keys move from cell to cell.');
    const picture = make('canvas');  // the cells, painted once; the canvas adds the outline of the current one
    const screen = canvas.getContext('2d');
    const pen = picture.getContext('2d');
    pen.font = '12px system-ui, sans-serif';
    const left = 10 + Math.ceil(Math.max(...spec.rows.map(row => pen.measureText(row).width)));
    const top = 18;
    const room = (place.clientWidth || 1000) - left - 2;
    const width = Math.max(5, Math.min(46, Math.floor(room / spec.columns.length)));
    const height = spec.rows.length > 40 ? 12 : 20;
    const dense = window.devicePixelRatio || 1;
    let at = null;

    const size = {w: left + width * spec.columns.length + 2, h: top + height * spec.rows.length + 2};
    canvas.width = picture.width = Math.round(size.w * dense);
    canvas.height = picture.height = Math.round(size.h * dense);
    canvas.style.width = size.w + 'px';
    canvas.style.height = size.h + 'px';

    function drawCell(r, c, paint, marks) {
      const cell = spec.at(r, c);
      if (!cell) return;
      const x = left + c * width, y = top + r * height, gap = width > 6 ? 1 : 0;
      const w = width - gap, h = height - 1;
      pen.fillStyle = cell.mark === 'missing' ? marks.bad : isNumber(cell.value) ? paint(scale(cell.value)) : marks.line;
      pen.fillRect(x, y, w, h);
      if (cell.mark === 'starving') {
        pen.strokeStyle = marks.warn;
        pen.lineWidth = 2;
        pen.strokeRect(x + 1, y + 1, w - 2, h - 2);
      } else if (cell.mark === 'missing') {  // a cross as well: not by colour alone
        pen.strokeStyle = marks.paper;
        pen.lineWidth = 1;
        pen.beginPath();
        pen.moveTo(x, y);
        pen.lineTo(x + w, y + h);
        pen.moveTo(x + w, y);
        pen.lineTo(x, y + h);
        pen.stroke();
      }
    }

    function paintCells() {
      const paint = ramp();
      const marks = {bad: colour('bad'), warn: colour('warn'), line: colour('line'), paper: colour('paper')};
      pen.setTransform(dense, 0, 0, dense, 0, 0);
      pen.font = '12px system-ui, sans-serif';
      pen.fillStyle = colour('faint');
      pen.textBaseline = 'middle';
      pen.textAlign = 'right';
      const rowStep = Math.ceil(14 / height);
      spec.rows.forEach((row, r) => r % rowStep === 0 && pen.fillText(row, left - 6, top + (r + 0.5) * height));
      pen.textAlign = 'center';
      const columnStep = Math.ceil(28 / width);
      spec.columns.forEach((column, c) => c % columnStep === 0 && pen.fillText(column, left + (c + 0.5) * width, 9));
      spec.rows.forEach((_, r) => spec.columns.forEach((__, c) => drawCell(r, c, paint, marks)));
    }

    function outline() {
      screen.setTransform(1, 0, 0, 1, 0, 0);
      screen.clearRect(0, 0, canvas.width, canvas.height);
      screen.drawImage(picture, 0, 0);
      if (!at) return;
      screen.setTransform(dense, 0, 0, dense, 0, 0);
      screen.strokeStyle = colour('ink');
      screen.lineWidth = 2;
      screen.strokeRect(left + at.c * width, top + at.r * height, width, height);
    }

    function select(r, c, x, y, speak) {
      const inside = r >= 0 && c >= 0 && r < spec.rows.length && c < spec.columns.length;
      at = inside ? {r, c} : null;
      const cell = inside ? spec.at(r, c) : null;
      outline();
      tip(inside ? (cell ? cell.text : 'no data here') : '', x, y);
      if (speak && inside) byId('live').textContent = cell ? cell.text : 'no data here';
    }

    canvas.onmousemove = event => select(Math.floor((event.offsetY - top) / height),
      Math.floor((event.offsetX - left) / width), event.clientX, event.clientY, false);
    canvas.onmouseleave = canvas.onblur = () => select(-1, -1);
    canvas.onkeydown = event => {
      const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
        Home: [0, -Infinity], End: [0, Infinity]}[event.key];
      if (event.key === 'Escape') return select(-1, -1);
      if (!step) return undefined;
      event.preventDefault();
      const move = (now, by, n) => Math.max(0, Math.min(n - 1, now + by));
      const r = at ? move(at.r, step[0], spec.rows.length) : 0;
      const c = at ? move(at.c, step[1], spec.columns.length) : 0;
      place.scrollLeft = Math.max(0, left + (c + 1) * width - place.clientWidth / 2);
      const box = canvas.getBoundingClientRect();
      return select(r, c, box.left + left + (c + 1) * width, box.top + top + (r + 1) * height, true);
    };

    const bounds = values.length === 0 ? [] : [make('div', {className: 'scale'}, show(least), make('i'), show(most))];
    place.replaceChildren(canvas, ...bounds);
    paintCells();
    outline();
  }

  function tip(text, x, y) {
    const box = byId('tip');
    box.hidden = text === '';
    if (text === '') return;
    box.textContent = text;
    box.style.left = Math.max(4, Math.min(x + 14, window.innerWidth - box.offsetWidth - 4)) + 'px';
    box.style.top = Math.max(4, Math.min(y + 14, window.innerHeight - box.offsetHeight - 4)) + 'px';
  }

  // ---- Charts ----

  function plot(id, label, type, labels, datasets, axes) {
    const place = within(id, '.plot');
    const canvas = make('canvas');
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', label);
    place.replaceChildren(canvas);
    const axis = (title, more) => ({title: {display: true, text: title, color: colour('faint')},
      ticks: {color: colour('faint')}, grid: {color: colour('line')}, ...more});
    charts.push(new Chart(canvas, {type, data: {labels, datasets}, options: {
      animation: false, responsive: true, maintainAspectRatio: false,
      interaction: {mode: 'index', intersect: false},
      scales: {x: axis(axes.x), y: axis(axes.y, axes.log ? {type: 'logarithmic'} : {})},
      plugins: {
        legend: {display: datasets.filter(d => d.label).length > 1,
          labels: {color: colour('ink'), filter: entry => Boolean(entry.text)}},
        tooltip: {filter: entry => Boolean(entry.dataset.label)},
      },
    }}));
  }

  const line = (label, values, n, more) => ({label, data: values, borderColor: colour('series-' + n),
    backgroundColor: colour('series-' + n), borderWidth: 2, pointRadius: values.length > 60 ? 0 : 2,
    pointStyle: ['circle', 'rect', 'triangle', 'rectRot'][n - 1], spanGaps: false, ...more});

  // ---- Sections ----

  function drawPerplexity(current) {
    const curves = data.matrices.filter(matrix => matrix.curve.length > 0);
    byId('perplexity').hidden = curves.length === 0;
    if (curves.length === 0) return;
    const longest = Math.max(...curves.map(matrix => matrix.curve.length));
    const datasets = [];
    curves.forEach((matrix, i) => {
      const n = i % 4 + 1;
      if (matrix === current) {
        const edge = sign => matrix.curve.map(([value, error]) => isNumber(error) ? value + sign * error : null);
        const plain = {borderWidth: 0, pointRadius: 0};
        datasets.push(line('', edge(1), n, {...plain, fill: '+1', backgroundColor: colour('series-' + n) + '33'}));
        datasets.push(line('', edge(-1), n, plain));
      }
      datasets.push(line(curves.length > 1 ? matrix.label : 'perplexity', matrix.curve.map(([value]) => value), n));
    });
    plot('perplexity', 'Perplexity after each chunk', 'line', [...Array(longest).keys()].map(i => i + 1), datasets,
      {x: 'chunk', y: 'perplexity'});
  }

  // A map of layers and kinds from rows that have layer and tensor.
  function layerMap(place, label, rows, value, text, log) {
    const layers = layersOf(rows), kinds = kindsOf(rows);
    const cells = new Map(rows.map(row => [row.tensor + '\n' + row.layer, row]));
    heatMap(place, {label, rows: kinds, columns: layers, log, at(r, c) {
      const row = cells.get(kinds[r] + '\n' + layers[c]);
      return row ? {value: value(row), text: row.name + '\n' + text(row)} : null;
    }});
  }

  function drawEnergy(matrix) {
    layerMap(within('energy', '.map'), 'Energy by layer and weight', matrix.tensors, row => row.energy,
      row => `energy ${show(row.energy)}\nmean ${show(row.mean)}, largest ${show(row.max)}`, true);
  }

  function measuresOf(matrix) {
    const first = matrix.layers.length > 0 ? matrix.layers[0].layer : 0;
    const turn = list => new Map(list.map(entry => [entry.layer, 1 - Math.abs(entry.cos_sim)]));
    const own = pick => new Map(matrix.layers.map(entry => [entry.layer, pick(entry)]));
    const all = [
      {key: 'energy', label: 'Energy', values: own(entry => entry.energy)},
      {key: 'zd', label: 'Share of high columns', values: own(entry => entry.zd)},
      {key: 'change', label: 'Change', values: own(entry => entry.layer === first ? null : 1 - entry.cos_sim)},
    ];
    if (matrix.similarity) {
      all.push({key: 'turn', label: 'Turn, layer', values: turn(matrix.similarity.layer)},
        {key: 'turn_attention', label: 'Turn, attention', values: turn(matrix.similarity.attention)},
        {key: 'turn_ffn', label: 'Turn, feed-forward', values: turn(matrix.similarity.ffn)},
        {key: 'stream', label: 'Change of the stream',
          values: new Map(matrix.similarity.residual.map(entry => [entry.layer, entry.relative_change]))});
    }
    return all.filter(measure => measure.values.size > 0);
  }

  function drawImportance(matrix) {
    const measures = measuresOf(matrix);
    const layers = unique(measures.flatMap(measure => [...measure.values.keys()])).sort((a, b) => a - b);
    byId('importance').hidden = layers.length === 0;
    if (layers.length === 0) return;
    const select = within('importance', 'select');
    setOptions(select, measures.map(measure => [measure.key, measure.label]));
    const chosen = measures.find(measure => measure.key === select.value);
    const values = layers.map(layer => chosen.values.get(layer)).filter(value => value > 0);
    const log = Math.max(...values) > 30 * Math.min(...values);  // else bars that start at zero say more
    plot('importance', chosen.label + ' by layer', 'bar', layers,
      [{label: chosen.label, data: layers.map(layer => chosen.values.get(layer)), backgroundColor: colour('series-1')}],
      {x: 'layer', y: chosen.label, log});
    const rank = new Map(measures.map(measure => [measure.key, new Map([...measure.values].filter(([, v]) => isNumber(v))
      .sort((a, b) => b[1] - a[1]).map(([layer], i) => [layer, i + 1]))]));
    const rows = layers.map(layer => Object.fromEntries([['layer', layer],
      ...measures.map(measure => [measure.key, measure.values.get(layer)])]));
    table(within('importance', '.table'), 'Layers by importance', [{key: 'layer', label: 'Layer'},
      ...measures.map(measure => ({key: measure.key, label: measure.label, note: row => {
        const place = rank.get(measure.key).get(row.layer);
        return place ? '#' + place : '';
      }}))], rows, chosen.key, true);
  }

  // Views of the similarity: which of its lists, and which figure of their entries.
  const similarityViews = [
    {label: 'cosine of the normalised inputs', prefix: '', whole: 'layer', figure: 'cos_sim'},
    {label: 'cosine of the residual stream', prefix: 'residual_', whole: 'residual', figure: 'cos_sim'},
    {label: 'relative change of the residual stream, |after − before| / |before|', prefix: 'residual_',
      whole: 'residual', figure: 'relative_change'}];

  function drawSimilarity(matrix) {
    const lists = view => [['layer', view.whole], ['attention', view.prefix + 'attention'],
      ['feed-forward', view.prefix + 'ffn']].filter(([, key]) => matrix.similarity[key].length > 0);
    const views = matrix.similarity ? similarityViews.filter(view => lists(view).length > 0) : [];
    byId('similarity').hidden = views.length === 0;
    if (views.length === 0) return;
    const select = within('similarity', 'select');
    setOptions(select, views.map(view => [view.label, view.label]));
    const view = views.find(candidate => candidate.label === select.value);
    const layers = unique(lists(view).flatMap(([, key]) => matrix.similarity[key].map(entry => entry.layer)))
      .sort((a, b) => a - b);
    plot('similarity', 'Similarity by layer', 'line', layers, lists(view).map(([label, key], i) => {
      const values = new Map(matrix.similarity[key].map(entry => [entry.layer, entry[view.figure]]));
      return line(label, layers.map(layer => isNumber(values.get(layer)) ? values.get(layer) : null), i + 1);
    }), {x: 'layer', y: view.figure === 'cos_sim' ? 'mean cosine' : 'mean change'});
  }

  function drawExperts(matrix) {
    const weights = matrix.coverage.experts;
    byId('experts').hidden = weights.length === 0;
    if (weights.length === 0) return;
    const below = matrix.coverage.starving_below_rows;
    within('experts', '.legend').replaceChildren('Rows routed to each expert, by layer. ',
      make('span', {className: 'key', textContent: '×'}), 'no data  ',
      make('span', {className: 'key starving'}), `fewer than ${below} rows`);
    const select = within('experts', 'select');
    setOptions(select, kindsOf(weights).map(kind => [kind, kind]));
    const shown = weights.filter(weight => weight.tensor === select.value).sort((a, b) => byLayer(a.layer, b.layer));
    const n = Math.max(...shown.map(weight => weight.rows.length));
    heatMap(within('experts', '.map'), {label: 'Rows by layer and expert, ' + select.value,
      rows: shown.map(weight => weight.layer), columns: [...Array(n).keys()].map(String), log: true, at(r, c) {
        const count = shown[r].rows[c];
        if (count === undefined) return null;
        const mark = count === 0 ? 'missing' : count < below ? 'starving' : '';
        return {value: count, mark, text: `${layerName(shown[r].layer)}, expert ${c}\n${count} rows` + (mark && ` (${mark})`)};
      }});
  }

  function drawDistribution(matrix) {
    const select = within('distribution', 'select');
    setOptions(select, kindsOf(matrix.distributions).map(kind => [kind, kind]));
    const shown = matrix.distributions.filter(row => row.tensor === select.value)
      .sort((a, b) => byLayer(a.layer, b.layer));
    const positive = value => value > 0 ? value : null;
    const quantile = i => shown.map(row => positive(row.quantiles[i]));
    const thin = {borderWidth: 1, pointRadius: 0, type: 'line'};
    plot('distribution', 'Quantiles of the columns by layer, ' + select.value, 'bar', shown.map(row => row.layer), [
      line('largest', quantile(6), 2, {type: 'line', showLine: false, pointRadius: 3}),
      line('95 %', quantile(5), 4, thin),
      line('median', quantile(3), 3, {type: 'line', borderWidth: 2, pointRadius: 0}),
      line('5 %', quantile(1), 4, {...thin, borderDash: [4, 3]}),
      {label: '25 % to 75 %', data: shown.map(row => positive(row.quantiles[2]) && [row.quantiles[2], row.quantiles[4]]),
        backgroundColor: colour('series-1') + '66', borderColor: colour('series-1'), borderWidth: 1, borderSkipped: false},
    ], {x: 'layer', y: 'mean square', log: true});
    const outliers = matrix.distributions.flatMap(row => row.outliers.map(outlier => ({name: row.name, ...outlier})));
    table(within('distribution', '.table'), 'Columns that stand out', [
      {key: 'name', label: 'Weight', text: true}, {key: 'matrix', label: 'Matrix'}, {key: 'column', label: 'Column'},
      {key: 'mean_square', label: 'Mean square'}, {key: 'times_median', label: '× median'},
      {key: 'share', label: 'Share of energy', show: percent}], outliers, 'share', true);
  }

  function drawComparison() {
    byId('comparison').hidden = data.comparisons.length === 0;
    if (data.comparisons.length === 0) return;
    const select = within('comparison', 'select');
    setOptions(select, data.comparisons.map((_, i) => [i, data.matrices[0].label + ' → ' + data.matrices[i + 1].label]));
    const {changes, only_first: onlyFirst, only_second: onlySecond} = data.comparisons[Number(select.value)];
    if (changes.length > 0) {
      layerMap(within('comparison', '.map'), 'Rank correlation by layer and weight', changes, row => row.rank_correlation,
        row => `rank correlation ${show(row.rank_correlation)}\ncosine ${show(row.cosine)}\nenergy × ${show(row.energy_ratio)}`,
        false);
    }
    table(within('comparison', '.table'), 'Changes by weight', [
      {key: 'name', label: 'Weight', text: true}, {key: 'rank_correlation', label: 'Rank correlation'},
      {key: 'cosine', label: 'Cosine'}, {key: 'energy_ratio', label: 'Energy ratio'}], changes, 'rank_correlation', false);
    nameList(within('comparison', '.lists'), [['Only comparable in the first', onlyFirst],
      ['Only comparable in the second', onlySecond]]);
  }

  function drawCoverage(matrix) {
    const coverage = matrix.coverage;
    within('coverage', '.sentence').textContent = [coverage.sentence, coverage.experts_sentence,
      coverage.demand_sentence].filter(Boolean).map(text => text[0].toUpperCase() + text.slice(1)).join(' · ');
    const rows = coverage.experts.map(weight => {
      const sorted = [...weight.rows].sort((a, b) => a - b);
      return {...weight, n: sorted.length, least: sorted[0], median: sorted[sorted.length >> 1],
        most: sorted[sorted.length - 1]};
    });
    table(within('coverage', '.table'), 'Coverage of expert weights', [
      {key: 'name', label: 'Weight', text: true}, {key: 'n', label: 'Experts'},
      {key: 'missing', label: 'Without data', mark: row => row.missing ? 'bad' : ''},
      {key: 'starving', label: `Under ${coverage.starving_below_rows} rows`, mark: row => row.starving ? 'warn' : ''},
      {key: 'least', label: 'Least rows'}, {key: 'least_fed_expert', label: 'Least fed expert'}, {key: 'median', label: 'Median'}, {key: 'most', label: 'Most'}],
    rows, 'missing', true);
    nameList(within('coverage', '.lists'), [['Weights of the model not collected', coverage.not_collected],
      ['Weights without data', coverage.without_data], ['Weights with few rows', coverage.few_rows]]);
  }

  function drawWeights(matrix) {
    table(within('weights', '.table'), 'All weights', [
      {key: 'layer', label: 'Layer', text: true}, {key: 'tensor', label: 'Tensor', text: true},
      {key: 'energy', label: 'Σ mean x²'}, {key: 'min', label: 'Least'}, {key: 'max', label: 'Largest'},
      {key: 'mean', label: 'Mean'}, {key: 'stddev', label: 'Deviation'}, {key: 'active', label: 'Active', show: percent},
      {key: 'n', label: 'Columns'}, {key: 'entropy_bits', label: 'Entropy, bits'},
      {key: 'entropy_percent', label: 'Entropy, %'}, {key: 'zd', label: 'High columns', show: percent},
      {key: 'cos_sim', label: 'Cosine to previous'}], matrix.tensors, 'energy', true);
    const activations = matrix.activations.map(row => ({...row, of: row.of === 'x' ? 'x' : 'x²'}));
    byId('activations').hidden = !activations.some(row => row.of === 'x');
    table(within('activations', '.table'), 'Mean activations', [
      {key: 'layer', label: 'Layer', text: true}, {key: 'tensor', label: 'Tensor', text: true},
      {key: 'of', label: 'Of', text: true}, {key: 'mean', label: 'Mean'}, {key: 'stddev', label: 'Deviation'},
      {key: 'skewness', label: 'Skewness'}, {key: 'kurtosis', label: 'Excess kurtosis'}, {key: 'gain', label: 'Gain'},
      {key: 'l2_distance', label: 'L2 distance'}, {key: 'cosine', label: 'Cosine'}, {key: 'pearson', label: 'Pearson'},
      {key: 'covariance', label: 'Covariance'}], activations, 'layer', false);
  }

  // ---- The page ----

  function draw() {
    while (charts.length > 0) charts.pop().destroy();
    const theme = byId('theme').value;
    root.dataset.theme = printing ? 'light' : theme === 'auto' ? (systemDark.matches ? 'dark' : 'light') : theme;
    const matrix = data.matrices[Number(byId('matrix').value)];
    drawPerplexity(matrix);
    drawEnergy(matrix);
    drawImportance(matrix);
    drawSimilarity(matrix);
    drawExperts(matrix);
    drawDistribution(matrix);
    drawComparison();
    drawCoverage(matrix);
    drawWeights(matrix);
    byId('recipe').hidden = data.recipe === '';
    within('recipe', 'pre').textContent = data.recipe;
    byId('nav').replaceChildren(...[...document.querySelectorAll('section[data-nav]')].filter(s => !s.hidden)
      .map(s => make('a', {href: '#' + s.id, textContent: s.dataset.nav})));
  }

  function print(on) {
    printing = on;
    draw();
  }

  setOptions(byId('matrix'), data.matrices.map((matrix, i) => [i, matrix.label]));
  document.querySelectorAll('select').forEach(select => { select.onchange = draw; });
  systemDark.addEventListener('change', draw);
  window.addEventListener('beforeprint', () => print(true));
  window.addEventListener('afterprint', () => print(false));
  let width = window.innerWidth;
  window.addEventListener('resize', () => {  // maps choose their cell size by the room there is
    if (window.innerWidth === width || printing) return;
    width = window.innerWidth;
    draw();
  });
  draw();
})();
