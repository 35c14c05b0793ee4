// Keys, sound and cursor of the labelling page. `command` takes keys to the server, `shown` brings what is to be typed.
const audio = new Audio(sound)
let at = 0, count = 0, typing = null

const send = (key, text = '') => { command.data = {count: [++count], key: [key], at: [at], text: [text]} }
const show = () => { for (const cursor of cursors) cursor.location = at }
const visible = () => {
  const width = time.end - time.start
  if (at >= time.start && at <= time.end) return
  const start = Math.min(Math.max(0, at - width / 4), Math.max(0, duration - width))
  time.setv({start, end: start + width})
}
const go = (to) => {
  at = Math.min(Math.max(0, to), duration)
  audio.currentTime = at
  show()
  visible()
}
const zoom = (factor) => {
  const width = Math.min(duration, Math.max(0.5, (time.end - time.start) * factor))
  const start = Math.min(Math.max(0, at - width / 2), duration - width)
  time.setv({start, end: start + width})
}

window.labelling_go = go

setInterval(() => {
  if (audio.paused) return
  at = Math.min(audio.currentTime, duration)
  show()
  visible()
}, 60)

const ask = (what, value) => {
  if (typing !== null) typing.remove()
  typing = document.createElement('form')
  typing.style.cssText = 'position:fixed;left:50%;top:30%;transform:translateX(-50%);z-index:99;background:Canvas;' +
    'color:CanvasText;border:2px solid #3b6fb6;border-radius:6px;padding:1rem;font:16px system-ui;min-width:24rem'
  const label = document.createElement('label')
  label.textContent = what === 'words' ? 'Which words are spoken? ' : 'What is it? '
  const input = document.createElement('input')
  input.value = value
  input.style.cssText = 'font:inherit;width:100%;box-sizing:border-box;margin-top:.4rem'
  if (what !== 'words') {
    const known = document.createElement('datalist')
    known.id = 'labelling-categories'
    for (const category of categories) known.append(new Option(category, category))
    input.setAttribute('list', known.id)
    typing.append(known)
  }
  label.append(input)
  typing.append(label)
  const close = () => { typing.remove(); typing = null }
  typing.addEventListener('submit', (event) => { event.preventDefault(); send('name', input.value); close() })
  input.addEventListener('keydown', (event) => {
    event.stopPropagation()
    if (event.key === 'Escape') { send('keep'); close() }
  })
  document.body.append(typing)
  input.focus()
  input.select()
}
shown.change.connect(() => {
  if (shown.data.ask[0]) ask(shown.data.ask[0], shown.data.value[0])
  if (shown.data.go[0] >= 0) go(shown.data.go[0])
})

const keys = {
  ' ': () => { if (audio.paused) audio.play(); else audio.pause() },
  ArrowLeft: (event) => go(at - (event.shiftKey ? 1 : 0.1)),
  ArrowRight: (event) => go(at + (event.shiftKey ? 1 : 0.1)),
  PageUp: () => go(at - (time.end - time.start) / 2),
  PageDown: () => go(at + (time.end - time.start) / 2),
  Home: () => go(0),
  End: () => go(duration),
  '+': () => zoom(0.5),
  '=': () => zoom(0.5),
  '-': () => zoom(2),
  Enter: () => send('rename'),
  Delete: () => send('x'),
  Backspace: () => send('x'),
}
for (const key of 'esw[]rnpux') keys[key] = () => send(key)

document.addEventListener('keydown', (event) => {
  if (typing !== null || event.ctrlKey || event.altKey || event.metaKey || !(event.key in keys)) return
  event.preventDefault()
  keys[event.key](event)
})
