//! Every operation of the API that is there: what it takes and what it answers. `/openapi.json` is made of this table, and
//! a test holds the table against the router and against the answers of the running API.

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Anyone.
    Open,
    /// Who has an access token.
    Token,
}

/// A successful answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The schema of its body; empty: no body.
    pub(super) schema: &'static str,
    /// Whether it is a list of such, with a cursor.
    pub(super) is_list: bool,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    /// Under `/api/v1`.
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) access: Access,
    /// Names of components.
    pub(super) query: &'static [&'static str],
    pub(super) headers: &'static [&'static str],
    /// The schema of the JSON body.
    pub(super) body: Option<&'static str>,
    pub(super) answers: &'static [Answer],
    /// Refusals besides those that its parts imply.
    pub(super) refusals: &'static [u16],
}

const fn answer(status: u16, schema: &'static str) -> Answer {
    Answer { status, schema, is_list: false }
}

const fn list(schema: &'static str) -> Answer {
    Answer { status: 200, schema, is_list: true }
}

const NO_CONTENT: Answer = answer(204, "");
/// The log has it; it will be done.
const RECEIVED: Answer = answer(202, "Received");

impl Operation {
    const fn new(
        method: &'static str,
        path: &'static str,
        summary: &'static str,
        answers: &'static [Answer],
    ) -> Self {
        Self {
            method,
            path,
            summary,
            access: Access::Token,
            query: &[],
            headers: &[],
            body: None,
            answers,
            refusals: &[],
        }
    }

    const fn open(self) -> Self {
        Self { access: Access::Open, ..self }
    }

    const fn query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    /// A request that may be tried again under the same key.
    const fn keyed(self) -> Self {
        Self { headers: &["IdempotencyKey"], ..self }
    }

    const fn body(self, schema: &'static str) -> Self {
        Self { body: Some(schema), ..self }
    }

    const fn refuses(self, refusals: &'static [u16]) -> Self {
        Self { refusals, ..self }
    }
}

/// A tag and its operations.
pub(super) type Group = (&'static str, &'static [Operation]);

const PAGE: &[&str] = &["Limit", "Cursor"];

/// The API.
pub(super) const GROUPS: &[Group] = &[
    ("Sessions", SESSIONS),
    ("Users", USERS),
    ("Relations", RELATIONS),
    ("Channels", CHANNELS),
    ("Members", MEMBERS),
    ("Messages", MESSAGES),
    ("Edge", EDGE),
];

const SESSIONS: &[Operation] = &[
    Operation::new("post", "/auth/register", "Make an account and sign it in", &[answer(201, "SignedIn")])
        .open()
        .body("Registration")
        .refuses(&[403, 409]),
    Operation::new("post", "/auth/login", "Sign in", &[answer(200, "SignedIn")])
        .open()
        .body("Login")
        .refuses(&[401]),
    Operation::new(
        "post",
        "/auth/refresh",
        "Exchange a refresh token; it is good once",
        &[answer(200, "SignedIn")],
    )
    .open()
    .body("Refresh")
    .refuses(&[401]),
    Operation::new("post", "/auth/logout", "End a session", &[NO_CONTENT]).open().body("Refresh"),
    Operation::new("get", "/auth/jwks.json", "Keys that verify access tokens", &[answer(200, "KeySet")])
        .open(),
    Operation::new("get", "/auth/sessions", "Devices signed in", &[list("Session")]).query(PAGE),
    Operation::new("delete", "/auth/sessions/{session_id}", "End one of them", &[NO_CONTENT]),
    Operation::new("put", "/users/me/password", "Change the password; other sessions end", &[NO_CONTENT])
        .body("PasswordChange")
        .refuses(&[403]),
];

const USERS: &[Operation] = &[
    Operation::new("get", "/users/me", "One's own profile", &[answer(200, "OwnUser")]),
    Operation::new("patch", "/users/me", "Change it", &[answer(200, "OwnUser")]).body("ProfileChange"),
    Operation::new("delete", "/users/me", "Erase the account and its personal data", &[NO_CONTENT])
        .refuses(&[409]),
    Operation::new("get", "/users/me/export", "Everything held about oneself", &[answer(200, "Export")]),
    Operation::new(
        "get",
        "/users/search",
        "Find people by the beginning of any word of their name",
        &[list("User")],
    )
    .query(&["Text", "Limit", "Cursor"])
    .refuses(&[422]),
    Operation::new("get", "/users/{user_id}", "Someone's profile", &[answer(200, "User")]),
];

const RELATIONS: &[Operation] = &[
    Operation::new("get", "/users/me/contacts", "Contacts", &[list("Contact")]).query(&[
        "ContactState",
        "Limit",
        "Cursor",
    ]),
    Operation::new(
        "post",
        "/users/me/contacts",
        "Ask for a contact",
        &[answer(201, "Contact"), answer(200, "Contact")],
    )
    .body("ContactRequest")
    .refuses(&[403, 404, 409]),
    Operation::new("put", "/users/me/contacts/{user_id}", "Accept a contact", &[answer(200, "Contact")])
        .refuses(&[403, 409]),
    Operation::new("delete", "/users/me/contacts/{user_id}", "End or decline it", &[NO_CONTENT]),
    Operation::new("get", "/users/me/blocks", "Whom one has blocked", &[list("Block")]).query(PAGE),
    Operation::new("put", "/users/me/blocks/{user_id}", "Block someone", &[NO_CONTENT]).refuses(&[409, 422]),
    Operation::new("delete", "/users/me/blocks/{user_id}", "Take it back", &[NO_CONTENT]),
];

const CHANNELS: &[Operation] = &[
    Operation::new("get", "/channels", "One's channels, newest first", &[list("MyChannel")]).query(PAGE),
    Operation::new(
        "post",
        "/channels",
        "Make a channel; a DM of two people exists once",
        &[answer(201, "Channel"), answer(200, "Channel")],
    )
    .body("NewChannel")
    .refuses(&[403, 404]),
    Operation::new("get", "/channels/discover", "Public channels", &[list("PublicChannel")])
        .query(&["NamePart", "Limit", "Cursor"]),
    Operation::new("get", "/channels/{channel_id}", "A channel", &[answer(200, "Channel")]).refuses(&[403]),
    Operation::new("patch", "/channels/{channel_id}", "Change it", &[answer(200, "Channel")])
        .body("ChannelChange")
        .refuses(&[403]),
    Operation::new("delete", "/channels/{channel_id}", "Delete it", &[NO_CONTENT]).refuses(&[403]),
    Operation::new("put", "/channels/{channel_id}/mute", "No notifications for a while", &[NO_CONTENT])
        .body("Mute")
        .refuses(&[403]),
    Operation::new("delete", "/channels/{channel_id}/mute", "Notifications again", &[NO_CONTENT])
        .refuses(&[403]),
];

const MEMBERS: &[Operation] = &[
    Operation::new("get", "/channels/{channel_id}/members", "Who is in it", &[list("Member")])
        .query(PAGE)
        .refuses(&[403]),
    Operation::new(
        "post",
        "/channels/{channel_id}/members",
        "Add members, or join a public channel",
        &[Answer { status: 201, schema: "Member", is_list: true }],
    )
    .body("NewMembers")
    .refuses(&[403, 409]),
    Operation::new(
        "delete",
        "/channels/{channel_id}/members/{user_id}",
        "Remove a member, or leave",
        &[NO_CONTENT],
    )
    .refuses(&[403, 409]),
    Operation::new(
        "patch",
        "/channels/{channel_id}/members/{user_id}",
        "Change a role; the owner passes the ownership on",
        &[answer(200, "Member")],
    )
    .body("RoleChange")
    .refuses(&[403]),
    Operation::new(
        "put",
        "/channels/{channel_id}/invitations/{user_id}",
        "Invite someone who can't be added; it waits for their yes",
        &[NO_CONTENT],
    )
    .refuses(&[403, 409]),
    Operation::new(
        "delete",
        "/channels/{channel_id}/invitations/{user_id}",
        "Take an invitation back",
        &[NO_CONTENT],
    )
    .refuses(&[403]),
    Operation::new(
        "get",
        "/users/me/invitations",
        "Invitations into channels that wait for oneself",
        &[list("ChannelInvitation")],
    ),
    Operation::new(
        "put",
        "/users/me/invitations/{channel_id}",
        "Accept one, and become a member",
        &[answer(200, "Channel")],
    ),
    Operation::new("delete", "/users/me/invitations/{channel_id}", "Decline one", &[NO_CONTENT]),
];

const MESSAGES: &[Operation] = &[
    Operation::new(
        "get",
        "/channels/{channel_id}/receipts",
        "How far each member has come",
        &[list("Receipt")],
    )
    .query(PAGE)
    .refuses(&[403]),
    Operation::new("get", "/presence", "Who is there", &[list("Presence")]).query(&["UserIds"]),
    Operation::new("get", "/channels/{channel_id}/messages", "History, newest first", &[list("Message")])
        .query(&["Before", "After", "Around", "Limit", "MessageCursor"])
        .refuses(&[403]),
    Operation::new(
        "post",
        "/channels/{channel_id}/messages",
        "Send a message",
        &[answer(201, "Message"), RECEIVED],
    )
    .keyed()
    .body("NewMessage")
    .refuses(&[403]),
    Operation::new(
        "get",
        "/channels/{channel_id}/messages/{message_id}",
        "One message",
        &[answer(200, "Message")],
    )
    .refuses(&[403]),
    Operation::new(
        "patch",
        "/channels/{channel_id}/messages/{message_id}",
        "Edit one's message",
        &[answer(200, "Message"), RECEIVED],
    )
    .keyed()
    .body("MessageEdit")
    .refuses(&[403]),
    Operation::new(
        "delete",
        "/channels/{channel_id}/messages/{message_id}",
        "Delete it: own, or as an admin",
        &[NO_CONTENT, RECEIVED],
    )
    .keyed()
    .refuses(&[403]),
    Operation::new(
        "get",
        "/channels/{channel_id}/messages/{message_id}/thread",
        "Replies, oldest first",
        &[list("Message")],
    )
    .query(&["Limit", "MessageCursor"])
    .refuses(&[403]),
    Operation::new(
        "put",
        "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",
        "React; a message takes 50 different emoji",
        &[NO_CONTENT, RECEIVED],
    )
    .keyed()
    .refuses(&[403, 422]),
    Operation::new(
        "delete",
        "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",
        "Take it back",
        &[NO_CONTENT, RECEIVED],
    )
    .keyed()
    .refuses(&[403, 422]),
    Operation::new(
        "get",
        "/channels/{channel_id}/pins",
        "Pinned messages, the latest first",
        &[list("Message")],
    )
    .query(&["Limit", "MessageCursor"])
    .refuses(&[403]),
    Operation::new(
        "put",
        "/channels/{channel_id}/pins/{message_id}",
        "Pin a message; a channel holds 100 pins",
        &[NO_CONTENT, RECEIVED],
    )
    .keyed()
    .refuses(&[403, 422]),
    Operation::new("delete", "/channels/{channel_id}/pins/{message_id}", "Unpin it", &[NO_CONTENT, RECEIVED])
        .keyed()
        .refuses(&[403]),
];

const EDGE: &[Operation] =
    &[Operation::new("get", "/edge", "The edge to connect a WebSocket to", &[answer(200, "Edge")])];
