"""Ordinary speech is not meant for the robot; this module draws everyday sentences in five languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.speech.espeak import Speaker
from training.speech.voices import Voice


def ordinary_speech(rng: np.random.Generator, voices: Sequence[Voice], speaker: Speaker) -> Samples:
    """Return one or two random sentences in one voice's language, 0.15-0.8 s apart: float32 [n] mono at 16 kHz.

    The voice is drawn from ``voices``, its rate and pitch varied a little, and the sentences drawn from
    ``ORDINARY_SENTENCES``. Raises SpeechError.
    """
    voice = voices[int(rng.integers(len(voices)))]
    voice = replace(
        voice,
        rate_wpm=int(voice.rate_wpm * rng.uniform(0.9, 1.15)),
        pitch=int(np.clip(voice.pitch + rng.integers(-8, 9), 0, 99)),
    )
    sentences = [text for language, text in ORDINARY_SENTENCES if language == voice.language]
    parts: list[Samples] = []
    for index in rng.choice(len(sentences), size=int(rng.integers(1, 3)), replace=False):
        if parts:
            parts.append(np.zeros(int(rng.uniform(0.15, 0.8) * SAMPLE_RATE_HZ), dtype=np.float32))
        parts.append(speaker.speak(sentences[int(index)], voice).samples)
    return np.concatenate(parts)


_ENGLISH = (
    'I left my umbrella on the bus again.',
    'The bakery on the corner opens at seven.',
    'She said she would be back before lunch.',
    'We ran out of milk this morning.',
    'Did you see the game last night?',
    'My brother moved to the coast two years ago.',
    'It looks like rain later.',
    'The meeting was moved to Thursday afternoon, so I had to change all my plans for the week.',
    'He always forgets where he parked.',
    'That soup needs a little more salt.',
    'Our neighbours are painting their fence green.',
    "I can't find my other shoe.",
    'The train was late, but only by a few minutes.',
    'They are thinking about getting a second dog.',
    'Yes, exactly.',
    "No, I don't think so.",
    'Well, you never know.',
    "Thanks, that's very kind of you.",
    'Somebody should really water those plants before they dry out completely.',
    'The library has a new reading room upstairs.',
    'I had toast and an egg for breakfast.',
    'Her daughter starts school in September.',
    'This coat was half price, would you believe it?',
    'We watched an old film about a lighthouse.',
    'The kids built a tower out of cardboard boxes and knocked it down again within a minute.',
    'Let me think about it until tomorrow.',
    'He plays the cello, though not very well yet.',
    'There was a long queue at the post office.',
    'I prefer the window seat.',
    'My phone is nearly out of battery.',
    'The doctor told him to walk for half an hour every day.',
    'Put the blue folder next to the printer.',
    'We could take the ferry instead of driving around the bay.',
    'That joke was older than my grandfather.',
    'The carrots are growing well this year.',
    'Two tickets for the late show, and one of them for a student.',
    'I used to live above a bicycle shop.',
    'It was so quiet that you could hear the snow.',
    'She is learning Portuguese from the radio.',
    'Maybe we should ask somebody for directions.',
    'The lift is being repaired until Friday.',
    'He laughed until he had tears in his eyes.',
    'I think the recipe says two hundred grams.',
    'The cat sleeps on the warm laundry.',
    'Good morning, how was your weekend?',
    'See you next week then.',
    'The new office has far too many meeting rooms and not one comfortable chair.',
    'They got married in a tiny village by the lake.',
    "I'd rather stay at home and read.",
    'Our flight leaves at a quarter past nine.',
    'The museum is free on the first Sunday of the month.',
    'My aunt collects old postcards.',
    'Is there any cake left?',
    'We planted three apple trees behind the shed.',
    'He speaks so softly that nobody at the back can follow him.',
    'I think I heard this song at your party.',
    'The price of coffee went up again.',
    'She cut her hair short for the summer.',
    'Our teacher lost the keys to the classroom.',
    'That was a very good question.',
    # A hazard that is only talked about is no hazard sound.
    'They talked about the fire at the old mill for years.',
    'He told me that the smoke alarm needs a new battery.',
    'I bought six wine glasses and one was already broken.',
    'The glass in the frame has a small scratch.',
    'My grandfather played the horn in the village band.',
    'She set her alarm for half past five.',
    'An ambulance was parked in front of the theatre, but nobody knew why.',
    'We sat around the fire and told stories.',
    'The siren song is an old story about sailors.',
    'Breaking a glass at a wedding is said to bring luck.',
)


_GERMAN = (
    'Ich habe meinen Schirm im Bus vergessen.',
    'Der Bäcker macht schon um sechs auf.',
    'Wir fahren am Wochenende zu meiner Schwester.',
    'Hast du das Spiel gestern gesehen?',
    'Heute Abend gibt es Kartoffelsuppe.',
    'Er sucht seit einer Stunde seine Brille.',
    'Das glaube ich nicht.',
    'Ja, genau.',
    'Die Kinder spielen hinten im Garten.',
    'Der Zug hatte wieder zehn Minuten Verspätung, und der nächste fiel ganz aus.',
    'Meine Nachbarin lernt gerade Geige.',
    'Kannst du mir das Salz geben?',
    'Im Keller steht noch ein alter Schrank.',
    'Am Sonntag wollen wir wandern gehen.',
    'Das Paket kommt erst morgen.',
    'Mein Wecker hat heute nicht geklingelt.',
    'Am Lagerfeuer haben wir lange gesungen.',
    'Das Glas Marmelade ist schon leer.',
)


_FRENCH = (
    "J'ai oublié mon parapluie dans le bus.",
    'La boulangerie ouvre à sept heures.',
    'Nous partons à la mer la semaine prochaine.',
    'Tu as vu le film hier soir ?',
    'Il fait plus froid que je ne pensais.',
    'Ma sœur habite près de la gare.',
    'Oui, bien sûr.',
    'Je ne sais pas encore.',
    'Les enfants jouent dans la cour.',
    'Il manque un peu de sel dans la soupe, mais elle est quand même très bonne.',
    'Mon voisin répare son vélo.',
    'On se retrouve devant le cinéma.',
    'Elle apprend le piano depuis deux ans.',
    'Le chat dort sur le canapé.',
    'Il reste un verre sur la table.',
    'Le feu est passé au vert et nous avons traversé.',
)


_SPANISH = (
    'He dejado el paraguas en el autobús.',
    'La panadería abre a las siete.',
    'Mañana vamos a visitar a mis abuelos.',
    '¿Viste el partido anoche?',
    'Hoy hace mucho calor.',
    'Mi hermano vive cerca del puerto.',
    'Claro que sí.',
    'Todavía no lo sé.',
    'Los niños juegan en el parque.',
    'El tren llegó tarde, pero encontramos asiento junto a la ventana.',
    'A la sopa le falta un poco de sal.',
    'Mi vecina toca la guitarra por las tardes.',
    'Nos vemos delante del cine.',
    'El gato duerme encima de la ropa.',
    'Puse la alarma a las seis de la mañana.',
    'Se sentaron alrededor del fuego a contar historias.',
)


_MANDARIN = (
    '我把雨伞忘在公共汽车上了。',
    '面包店七点开门。',
    '周末我们去看外婆。',
    '你昨天看比赛了吗？',
    '今天比昨天冷。',
    '我弟弟住在火车站旁边。',
    '好的，没问题。',
    '我还不知道。',
    '孩子们在院子里玩。',
    '火车晚点了十分钟，不过我们还是赶上了。',
    '汤里再放一点盐。',
    '她每天晚上练习弹钢琴。',
    '我们在电影院门口见面。',
    '猫在沙发上睡觉。',
    '桌上有一个玻璃杯。',
    '我把闹钟设在六点半。',
)


# (language, sentence) pairs; the language is what ``Voice.language`` gives.
ORDINARY_SENTENCES: list[tuple[str, str]] = [
    (language, sentence)
    for language, sentences in (
        ('en', _ENGLISH),
        ('de', _GERMAN),
        ('fr', _FRENCH),
        ('es', _SPANISH),
        ('cmn', _MANDARIN),
    )
    for sentence in sentences
]
