"""What a user of the generated client does first: register, make a channel, send, read. `client` generates it and calls this."""

import sys
from uuid import uuid4

from ringside_client import AuthenticatedClient, Client
from ringside_client.api.channels import create_channel, get_channel, list_channels
from ringside_client.api.messages import add_reaction, list_messages, send_message
from ringside_client.api.sessions import login, register
from ringside_client.models import (
    Login,
    Message,
    NewGroup,
    NewGroupType,
    NewReply,
    NewReplyContentType,
    NewText,
    Problem,
    Registration,
)

PASSWORD = "correct horse"
url = sys.argv[1]
anyone = Client(base_url=url)


def person(name):
    """An account, and a client of its own."""
    wish = Registration(email=f"{name}@example.org", username=name, password=PASSWORD)
    signed = register.sync(client=anyone, body=wish)
    assert not isinstance(signed, Problem), signed
    return signed.user, AuthenticatedClient(base_url=url, token=signed.access_token)


ada, as_ada = person("ada")
bob, as_bob = person("bob")
again = login.sync(client=anyone, body=Login(login="ada", password=PASSWORD, device="a generated client"))
assert again.user.id == ada.id and again.expires_in > 0, again

channel = create_channel.sync(client=as_ada, body=NewGroup(type_=NewGroupType.GROUP, name="ring", member_ids=[bob.id]))
assert channel.name == "ring" and channel.creator_id == ada.id, channel

# Tried twice under one key, it is one message.
key = str(uuid4())
sent = [
    send_message.sync(channel_id=channel.id, client=as_ada, body=NewText(content="hello bob"), idempotency_key=key)
    for _ in range(2)
]
assert isinstance(sent[0], Message) and sent[0].message_id == sent[1].message_id, sent
first = sent[0].message_id
reply = NewReply(content_type=NewReplyContentType.REPLY, content="hello ada", reply_to=first)
answer = send_message.sync(channel_id=channel.id, client=as_bob, body=reply)
assert answer.reply_to == first and answer.sender.username == "bob", answer
reacted = add_reaction.sync_detailed(channel_id=channel.id, message_id=first, emoji="👍", client=as_bob)
assert reacted.status_code in (202, 204), reacted

page = list_messages.sync(channel_id=channel.id, client=as_bob, limit=10)
assert [message.content for message in page.items] == ["hello ada", "hello bob"], page
assert page.next_cursor is None, page
mine = list_channels.sync(client=as_ada).items[0]
assert mine.id == channel.id and mine.unread_count == 1 and mine.last_message.content == "hello ada", mine

# What is refused comes as a problem.
wrong = register.sync(client=anyone, body=Registration(email="", username="q", password=""))
assert isinstance(wrong, Problem) and wrong.code == "invalid", wrong
assert {error.field for error in wrong.errors} == {"email", "username", "password"}, wrong
nowhere = get_channel.sync(channel_id=uuid4(), client=as_ada)
assert isinstance(nowhere, Problem) and nowhere.code == "not_found", nowhere

print("client: registered, made a channel, sent, read")
