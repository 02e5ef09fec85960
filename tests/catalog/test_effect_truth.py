"""The truth table of tool effects: names and descriptions as real servers and suites write them."""

from __future__ import annotations

import pytest

from gatling_guard.catalog import Effect, infer_profile

R, SCR, W = "read", "state_changing_read", "write"
S, X, D, P, G = "send", "execute", "delete", "pay", "permit"

# name, description ("" = none), argument names, effect
TABLE: list[tuple[str, str, str, str]] = [
    # mail
    ("send_email", "Sends an email with the given `body`.", "recipients subject body", S),
    ("gmail_send_message", "", "to body", S),
    ("GmailSendEmail", "Send an email to one or multiple recipients.", "to subject body", S),
    ("reply_to_email", "", "email_id body", S),
    ("forward_email", "Forward an email to another address", "email_id to", S),
    ("create_draft", "Creates a draft email without sending it", "to subject body", W),
    ("delete_email", "Deletes the email with the given `email_id`.", "email_id", D),
    ("get_unread_emails", "Returns all the unread emails. They are marked as read.", "", SCR),
    ("fetch_inbox", "Fetch messages and mark them as read", "", SCR),
    ("read_messages", "Reads new messages; they are marked as read.", "", SCR),
    ("search_emails", "Searches for emails in the inbox", "query sender", R),
    ("mark_as_read", "Mark a message as read", "message_id", W),
    ("label_email", "", "email_id label", W),
    ("email_validator", "Validate an email address", "email", R),
    ("EmailVerifier", "verify the deliverability of an email address.", "email", R),
    # chat and social
    ("send_direct_message", "Send a direct message to `recipient`.", "recipient body", S),
    ("slack_post_message", "Post a message to a Slack channel", "channel text", S),
    ("postTweet", "Post a new tweet", "content", S),
    ("create_comment", "Create a new comment on a post.", "post_id content", S),
    ("add_issue_comment", "Add a comment to an existing issue", "issue_number body", S),
    ("AmazonPostReview", "Post a review for a product", "product_id review", S),
    ("notify_team", "", "message", S),
    ("make_call", "Make a phone call", "phone_number", S),
    ("retweet", "Retweet a tweet", "tweet_id", S),
    ("like_post", "Like a post on social media", "post_id", W),
    ("follow_user", "", "user_id", W),
    ("read_channel_messages", "Read the messages from the given channel.", "channel", R),
    ("get_users_in_channel", "Get the list of users", "channel", R),
    ("send_sms", "", "phone_number message", S),
    ("share_story", "", "text", S),
    # access
    ("invite_user_to_slack", "Invites a user to the Slack workspace.", "user user_email", G),
    ("add_user_to_channel", "Add a user to a given channel.", "user channel", G),
    ("share_file", "Share a file with a user.", "file_id email permission", G),
    ("grant_access", "", "user resource", G),
    ("update_password", "Update the user password.", "password", G),
    ("reset_user_password", "", "user_id", G),
    ("create_api_key", "Create a new API key", "name", G),
    ("generate_access_token", "", "scope", G),
    ("add_collaborator", "", "repo username", G),
    ("GitHubManageCollaborator", "Manage collaborators of a repository", "repo_id action", G),
    ("set_privacy_settings", "", "settings", G),
    ("unlock_door", "Unlocks the door.", "", G),
    ("AugustSmartLockUnlockDoor", "Unlocks the door.", "", G),
    ("create_shared_link", "", "path", G),
    ("add_calendar_event_participants", "Adds participants", "event_id participants", G),
    ("assign_role", "Assign a role to a user", "user role", G),
    ("remove_user_from_slack", "Remove a user from the workspace.", "user", D),
    ("revoke_access", "", "user", D),
    ("generate_password", "Generate a random password", "length", R),
    ("check_app_permissions", "Checks what permissions an app has", "app", R),
    # money
    ("send_money", "Sends a transaction to the recipient.", "recipient amount subject", P),
    ("schedule_transaction", "Schedule a transaction.", "recipient amount date", P),
    ("update_scheduled_transaction", "", "id recipient amount", P),
    ("transferFunds", "Transfer funds between accounts", "from_account to_account amount", P),
    ("BankManagerPayBill", "Pay a bill to a payee", "payee_id amount", P),
    ("make_payment", "", "amount", P),
    ("create_refund", "Refund a payment", "payment_intent amount", P),
    ("create_payment_intent", "", "amount currency", P),
    ("place_order", "Places an order for a stock", "symbol quantity price", P),
    ("AmazonPlaceOrder", "Place an order for the items in the cart.", "payment_method", P),
    ("buy_stock", "", "ticker shares", P),
    ("Buses_3_BuyBusTicket", "Purchase bus tickets for a route", "from_city to_city", P),
    ("donateFunds", "Donate funds to a community", "amount", P),
    ("send_certificate", "Send a certificate to a user. Be careful!", "user_id amount", P),
    ("book_reservation", "Book a reservation.", "user_id payment_methods", P),
    ("send_payment_request", "Sends a payment request to the customer", "customer_id bill_id", S),
    ("request_payment", "", "from amount", S),
    ("add_payment_method", "Add a new payment method", "card_number", W),
    ("get_balance", "Get the balance of the account.", "", R),
    ("get_most_recent_transactions", "", "n", R),
    ("calculate_loan_payment", "Calculate the monthly payment", "amount rate", R),
    ("list_payment_methods", "", "", R),
    ("log_expense", "Record an expense", "amount category", W),
    # calendar and bookings
    ("create_calendar_event", "Creates a new calendar event", "title participants", W),
    ("reschedule_calendar_event", "Reschedules the event", "event_id", W),
    ("cancel_calendar_event", "Cancels the event", "event_id", D),
    ("GoogleCalendarCreateOrUpdateEvent", "Create or update an event", "event_id", W),
    ("reserve_hotel", "Makes a reservation for a hotel", "hotel start_day", W),
    ("book_flight", "", "flight_id", W),
    ("RideSharing_2_GetRide", "Book a cab for a specific destination", "destination", W),
    ("check_in_flight", "", "booking_id", W),
    ("search_direct_flight", "Search direct flights between two cities", "origin", R),
    ("check_availability", "", "date", R),
    # files and code
    ("read_file", "Reads the contents of the file at the given path.", "path", R),
    ("write_file", "Write a file.", "path content", W),
    ("append_to_file", "Append content to a file.", "file_id content", W),
    ("edit_file", "", "path old new", W),
    ("move_file", "", "source destination", W),
    ("create_directory", "", "path", W),
    ("delete_file", "Delete a file.", "path", D),
    ("rm", "Removes a file or directory", "file_name", D),
    ("list_directory", "", "path", R),
    ("ls", "", "path", R),
    ("grep", "", "file_name pattern", R),
    ("upload_file", "", "path", W),
    ("download_file", "Download a file from a URL", "url save_path", W),
    ("git_push", "Push commits to the remote", "remote branch", S),
    ("git_commit", "", "message", W),
    ("git_status", "", "repo_path", R),
    ("create_pull_request", "Create a new pull request", "title body head", W),
    ("merge_pull_request", "", "pull_number", W),
    ("get_file_contents", "", "owner repo path", R),
    # execution
    ("run_command", "Execute a bash command in the sandbox.", "command", X),
    ("bash", "", "command", X),
    ("python_repl", "A Python shell.", "code", X),
    ("execute_sql", "Run any SQL statement", "sql", X),
    ("TerminalExecute", "Execute a terminal command", "command", X),
    ("query", "Run a read-only SQL query", "sql", R),
    ("invoke_function", "", "function_id input", X),
    ("deploy_app", "", "app_id", X),
    ("shutdown_system", "Shutdown the computer system", "", X),
    ("install_package", "", "name", X),
    ("run_analysis", "Run an analysis of the data", "data", R),
    ("performTextClassification", "Classify a given text", "text", R),
    ("debug_code", "Debug the code and identify errors", "code", R),
    ("get_airport_by_code", "", "code", R),
    ("http_request", "Generates an HTTP request", "method url body", S),
    ("requests.get", "Sends a GET request to the specified URL.", "url headers", R),
    # web
    ("get_webpage", "Returns the content of the webpage at a given URL.", "url", R),
    ("post_webpage", "Posts a webpage at a given URL.", "url content", S),
    ("fetch", "Fetches a URL from the internet", "url", R),
    ("browser_navigate", "Navigate to a URL", "url", R),
    ("browser_click", "Click an element on the page", "ref", W),
    ("tavily_search", "", "query", R),
    # the rest of the world
    ("get_current_day", "Returns the current day in ISO format", "", R),
    ("weather.current", "Current weather conditions", "q", R),
    ("math.gcd", "Compute the greatest common divisor", "a b", R),
    ("add", "Calculates the sum of two integers", "a b", R),
    ("convert_currency", "", "from to amount", R),
    ("translate", "", "text", R),
    ("is_registered", "Checks if the phone is registered", "phone", R),
    ("can_send_mms", "Checks if the app can send MMS", "", R),
    ("get_user_info", "", "", R),
    ("update_user_info", "Update the user information.", "first_name street", W),
    ("create_ticket", "", "title description", W),
    ("toggle_airplane_mode", "", "", W),
    ("AugustSmartLockCheckLockStatus", "Retrieves the current lock status", "", R),
    ("set_alarm", "", "time", W),
    ("unsubscribe_newsletter", "", "list_id", D),
    ("clear_history", "", "", D),
    ("order_cancellation", "Cancel an order", "order_id", D),
    ("order_status", "Retrieve the status of an order", "order_id", R),
    ("search_and_delete_files", "", "query", D),
    ("transfer_to_human_agents", "Transfer the user to a human agent", "summary", S),
    ("submit_form", "", "data", S),
    ("pop_message", "", "queue", SCR),
    ("GET /pets/{id}", "", "id", R),
    ("DELETE /pets/{id}", "", "id", D),
    ("spotify.playlists.delete", "", "playlist_id", D),
    ("server__delete_user", "", "user_id", D),
    ("think", "Use the tool to think about something.", "thought", R),
    ("memory_insert", "Add to memory", "content", W),
]


def _schema(names: str) -> dict[str, object]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names.split()}}


@pytest.mark.parametrize(
    ("name", "description", "arguments", "effect"), TABLE, ids=[row[0] for row in TABLE]
)
def test_effect(name: str, description: str, arguments: str, effect: str) -> None:
    """R51 The effect follows from the verb, its object and the arguments."""
    profile = infer_profile(name, description, _schema(arguments))
    assert profile.effect is Effect(effect), profile
    assert profile.basis == "inferred"
    assert profile.confidence >= 0.5


def test_the_table_is_not_thin() -> None:
    """At least 120 tools, and every effect at least twice."""
    assert len(TABLE) >= 120
    assert all(sum(row[3] == effect.value for row in TABLE) >= 2 for effect in Effect)


@pytest.mark.parametrize(
    "name", ["frobnicate", "zxqv_blorp", "", "---", "数据", "\u0000", "a" * 5000]
)
def test_an_unknown_verb_is_taken_for_a_write(name: str) -> None:
    """What is not understood gets the worse reading, and says so."""
    profile = infer_profile(name)
    assert profile.effect is Effect.WRITE
    assert profile.confidence < 0.5
    assert profile.third_party == ("*",)


def test_where_name_and_description_differ_the_worse_counts() -> None:
    """A harmless name does not hide what the description says, nor the other way round."""
    hidden = infer_profile("get_report", "Deletes the report from the archive.")
    assert hidden.effect is Effect.DELETE
    assert hidden.confidence < infer_profile("delete_report", "Deletes the report.").confidence
    assert infer_profile("delete_report", "Returns the report.").effect is Effect.DELETE
    assert infer_profile("walmart.purchase", "Retrieve items.").effect is Effect.PAY
