# mypy: ignore-errors
"""Names that nobody else uses: the adapter must ask, and say how to answer."""


class Lobby:
    def __init__(self):
        self.guests = []

    async def welcome(self, guest):
        await guest.accept()
        self.guests.append(guest)

    def farewell(self, guest):
        self.guests.remove(guest)

    async def shout(self, words):
        for guest in self.guests:
            await guest.send_text(words)
