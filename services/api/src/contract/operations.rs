//! Every operation of the API that is there: what it takes and what it answers. `/openapi.json` is made of this table, and
//! a test holds the table against the router and against the answers of the running API.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Open,
    /// Who has an access token.
    Token,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The schema of its body; empty: no body.
    pub(super) schema: &'static str,
    /// Whether it is a list of such, with a cursor.
    pub(super) is_list: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    /// What generators call it: a verb, and what it is done to. Its words stand under it in `operations.json`.
    pub(super) id: &'static str,
    pub(super) method: &'static str,
    /// Under `/api/v1`.
    pub(super) path: &'static str,
    pub(super) access: Access,
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
        id: &'static str,
        method: &'static str,
        path: &'static str,
        answers: &'static [Answer],
    ) -> Self {
        Self {
            id,
            method,
            path,
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

/// A tag, what it is about, and its operations.
pub(super) type Group = (&'static str, &'static str, &'static [Operation]);

const PAGE: &[&str] = &["Limit", "Cursor"];

pub(super) const GROUPS: &[Group] = &[
    ("Sessions", "Accounts, signing in, staying signed in.", SESSIONS),
    ("Users", "Oneself, and other people.", USERS),
    ("Relations", "Contacts and blocks.", RELATIONS),
    ("Channels", "DMs, groups, private and public channels.", CHANNELS),
    ("Members", "Who is in a channel, and as what.", MEMBERS),
    ("Messages", "Messages, replies, reactions and pins.", MESSAGES),
    ("Presence", "Who is there, and who has read what.", PRESENCE),
    ("Edge", "Where the WebSocket is.", EDGE),
];

const SESSIONS: &[Operation] = &[
    Operation::new("register", "post", "/auth/register", &[answer(201, "SignedIn")])
        .open()
        .body("Registration")
        .refuses(&[403, 409]),
    Operation::new("login", "post", "/auth/login", &[answer(200, "SignedIn")])
        .open()
        .body("Login")
        .refuses(&[401]),
    Operation::new("refreshTokens", "post", "/auth/refresh", &[answer(200, "SignedIn")])
        .open()
        .body("Refresh")
        .refuses(&[401]),
    Operation::new("logout", "post", "/auth/logout", &[NO_CONTENT]).open().body("Refresh"),
    Operation::new("listSigningKeys", "get", "/auth/jwks.json", &[answer(200, "KeySet")]).open(),
    Operation::new("listSessions", "get", "/auth/sessions", &[list("Session")]).query(PAGE),
    Operation::new("endSession", "delete", "/auth/sessions/{session_id}", &[NO_CONTENT]),
    Operation::new("changePassword", "put", "/users/me/password", &[NO_CONTENT])
        .body("PasswordChange")
        .refuses(&[403]),
];

const USERS: &[Operation] = &[
    Operation::new("getMe", "get", "/users/me", &[answer(200, "OwnUser")]),
    Operation::new("updateMe", "patch", "/users/me", &[answer(200, "OwnUser")]).body("ProfileChange"),
    Operation::new("deleteMe", "delete", "/users/me", &[NO_CONTENT]).refuses(&[409]),
    Operation::new("exportMe", "get", "/users/me/export", &[answer(200, "Export")]),
    Operation::new("searchUsers", "get", "/users/search", &[list("User")])
        .query(&["Text", "Limit", "Cursor"])
        .refuses(&[422]),
    Operation::new("getUser", "get", "/users/{user_id}", &[answer(200, "User")]),
];

const RELATIONS: &[Operation] = &[
    Operation::new("listContacts", "get", "/users/me/contacts", &[list("Contact")]).query(&[
        "ContactState",
        "Limit",
        "Cursor",
    ]),
    Operation::new(
        "requestContact",
        "post",
        "/users/me/contacts",
        &[answer(201, "Contact"), answer(200, "Contact")],
    )
    .body("ContactRequest")
    .refuses(&[403, 404, 409]),
    Operation::new("acceptContact", "put", "/users/me/contacts/{user_id}", &[answer(200, "Contact")])
        .refuses(&[403, 409]),
    Operation::new("removeContact", "delete", "/users/me/contacts/{user_id}", &[NO_CONTENT]),
    Operation::new("listBlocks", "get", "/users/me/blocks", &[list("Block")]).query(PAGE),
    Operation::new("blockUser", "put", "/users/me/blocks/{user_id}", &[NO_CONTENT]).refuses(&[409, 422]),
    Operation::new("unblockUser", "delete", "/users/me/blocks/{user_id}", &[NO_CONTENT]),
];

const CHANNELS: &[Operation] = &[
    Operation::new("listChannels", "get", "/channels", &[list("MyChannel")]).query(PAGE),
    Operation::new("createChannel", "post", "/channels", &[answer(201, "Channel"), answer(200, "Channel")])
        .body("NewChannel")
        .refuses(&[403, 404]),
    Operation::new("discoverChannels", "get", "/channels/discover", &[list("PublicChannel")])
        .query(&["NamePart", "Limit", "Cursor"]),
    Operation::new("getChannel", "get", "/channels/{channel_id}", &[answer(200, "Channel")]).refuses(&[403]),
    Operation::new("updateChannel", "patch", "/channels/{channel_id}", &[answer(200, "Channel")])
        .body("ChannelChange")
        .refuses(&[403]),
    Operation::new("deleteChannel", "delete", "/channels/{channel_id}", &[NO_CONTENT]).refuses(&[403]),
    Operation::new("muteChannel", "put", "/channels/{channel_id}/mute", &[NO_CONTENT])
        .body("Mute")
        .refuses(&[403]),
    Operation::new("unmuteChannel", "delete", "/channels/{channel_id}/mute", &[NO_CONTENT]).refuses(&[403]),
];

const MEMBERS: &[Operation] = &[
    Operation::new("listMembers", "get", "/channels/{channel_id}/members", &[list("Member")])
        .query(PAGE)
        .refuses(&[403]),
    Operation::new(
        "addMembers",
        "post",
        "/channels/{channel_id}/members",
        &[Answer { status: 201, schema: "Member", is_list: true }],
    )
    .body("NewMembers")
    .refuses(&[403, 409]),
    Operation::new("removeMember", "delete", "/channels/{channel_id}/members/{user_id}", &[NO_CONTENT])
        .refuses(&[403, 409]),
    Operation::new("setRole", "patch", "/channels/{channel_id}/members/{user_id}", &[answer(200, "Member")])
        .body("RoleChange")
        .refuses(&[403]),
    Operation::new("inviteMember", "put", "/channels/{channel_id}/invitations/{user_id}", &[NO_CONTENT])
        .refuses(&[403, 409]),
    Operation::new(
        "withdrawInvitation",
        "delete",
        "/channels/{channel_id}/invitations/{user_id}",
        &[NO_CONTENT],
    )
    .refuses(&[403]),
    Operation::new("listInvitations", "get", "/users/me/invitations", &[list("ChannelInvitation")]),
    Operation::new(
        "acceptInvitation",
        "put",
        "/users/me/invitations/{channel_id}",
        &[answer(200, "Channel")],
    ),
    Operation::new("declineInvitation", "delete", "/users/me/invitations/{channel_id}", &[NO_CONTENT]),
];

const MESSAGES: &[Operation] = &[
    Operation::new("listMessages", "get", "/channels/{channel_id}/messages", &[list("Message")])
        .query(&["Before", "After", "Around", "Limit", "MessageCursor"])
        .refuses(&[403]),
    Operation::new(
        "sendMessage",
        "post",
        "/channels/{channel_id}/messages",
        &[answer(201, "Message"), RECEIVED],
    )
    .keyed()
    .body("NewMessage")
    .refuses(&[403]),
    Operation::new(
        "getMessage",
        "get",
        "/channels/{channel_id}/messages/{message_id}",
        &[answer(200, "Message")],
    )
    .refuses(&[403]),
    Operation::new(
        "editMessage",
        "patch",
        "/channels/{channel_id}/messages/{message_id}",
        &[answer(200, "Message"), RECEIVED],
    )
    .keyed()
    .body("MessageEdit")
    .refuses(&[403]),
    Operation::new(
        "deleteMessage",
        "delete",
        "/channels/{channel_id}/messages/{message_id}",
        &[NO_CONTENT, RECEIVED],
    )
    .keyed()
    .refuses(&[403]),
    Operation::new(
        "listReplies",
        "get",
        "/channels/{channel_id}/messages/{message_id}/thread",
        &[list("Message")],
    )
    .query(&["Limit", "MessageCursor"])
    .refuses(&[403]),
    Operation::new(
        "addReaction",
        "put",
        "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",
        &[NO_CONTENT, RECEIVED],
    )
    .keyed()
    .refuses(&[403, 422]),
    Operation::new(
        "removeReaction",
        "delete",
        "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",
        &[NO_CONTENT, RECEIVED],
    )
    .keyed()
    .refuses(&[403, 422]),
    Operation::new("listPins", "get", "/channels/{channel_id}/pins", &[list("Message")])
        .query(&["Limit", "MessageCursor"])
        .refuses(&[403]),
    Operation::new("pinMessage", "put", "/channels/{channel_id}/pins/{message_id}", &[NO_CONTENT, RECEIVED])
        .keyed()
        .refuses(&[403, 422]),
    Operation::new(
        "unpinMessage",
        "delete",
        "/channels/{channel_id}/pins/{message_id}",
        &[NO_CONTENT, RECEIVED],
    )
    .keyed()
    .refuses(&[403]),
];

const PRESENCE: &[Operation] = &[
    Operation::new("listReceipts", "get", "/channels/{channel_id}/receipts", &[list("Receipt")])
        .query(PAGE)
        .refuses(&[403]),
    Operation::new("listPresence", "get", "/presence", &[list("Presence")]).query(&["UserIds"]),
];

const EDGE: &[Operation] = &[Operation::new("getEdge", "get", "/edge", &[answer(200, "Edge")])];
