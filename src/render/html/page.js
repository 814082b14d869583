(() => {
  const at = (id) => document.getElementById(id);
  const workloads = [...document.querySelectorAll('[data-workload]')];
  const controls = at('controls');
  const boxes = [...controls.querySelectorAll('[name=has]')];

  const show = () => {
    const words = at('search').value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const namespace = at('namespace').value;
    const onlyDrops = at('drops').checked;
    let shown = 0;
    for (const workload of workloads) {
      const { has, search, namespace: own, drops } = workload.dataset;
      const matches =
        has.split(' ').some((one) => wanted.has(one)) &&
        (!namespace || own === namespace) &&
        (!onlyDrops || drops !== undefined) &&
        words.every((word) => search.includes(word));
      workload.hidden = !matches;
      shown += matches ? 1 : 0;
    }
    const noun = workloads.length === 1 ? 'workload' : 'workloads';
    at('shown').textContent = shown === workloads.length ? `${shown} ${noun}` : `${shown} of ${workloads.length} ${noun}`;
  };

  const open = (isOpen) =>
    workloads.forEach((workload) => {
      if (!workload.hidden) workload.open = isOpen;
    });
  const openTarget = () => {
    // An encoded name, or something else that is no name at all.
    let id = location.hash.slice(1);
    try {
      id = decodeURIComponent(id);
    } catch {
      /* as it is */
    }
    const target = at(id);
    if (target && workloads.includes(target)) {
      target.open = true;
      target.scrollIntoView();
    }
  };

  controls.addEventListener('input', show);
  controls.addEventListener('submit', (event) => event.preventDefault());
  at('open').addEventListener('click', () => open(true));
  at('close').addEventListener('click', () => open(false));
  addEventListener('hashchange', openTarget);

  // For browsers whose print stylesheet cannot open them.
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = workloads.filter((workload) => !workload.open);
    closed.forEach((workload) => {
      workload.open = true;
    });
  });
  addEventListener('afterprint', () =>
    closed.forEach((workload) => {
      workload.open = false;
    }),
  );

  controls.hidden = workloads.length === 0;
  show();
  openTarget();
})();
