"""The words that tool inference knows: tables only, no logic.

Every entry is general English or common API usage; nothing is fitted to a suite. A word absent here
is *unknown*, which the guard reads as the worse case. Not covered: languages other than English.
"""

from __future__ import annotations

import re

from gatling_guard.catalog.types import Effect


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# ------------------------------------------------------------------------------ verbs
# A word stands in one class. `_AMBIGUOUS` are nouns as often as verbs ("order_details",
# "SmartLockStatus"): they count only where nothing clearer is said.
_READ = """
access acquire aggregate analyse analyze annotate answer articulate ask assess audit autocomplete
benchmark blur browse calc calculate calculator calibrate cat categorize check choose classify
cluster collect compare compile compose compute concat concatenate condense conjugate contain
convert correlate count crawl debug decode decompress decrypt deduce define derive describe detect
determine diagnose diff differentiate discover discuss display distinguish divide download du dump
echo
elaborate encode encrypt enumerate estimate evaluate examine exist expand expect explain explore
export extract factor fetch filter find forecast format gather generate geocode get glob go greet
grep group guess hash highlight identify infer inspect integrate interpolate interpret investigate
learn lemmatize lint list load localize locate look lookup ls map match maximize measure minify
minimize monitor multiply narrow navigate normalize observe obtain optimise optimize outline output
paginate parse peek perceive pick ping plot poll predict preview probe produce profile pronounce
proofread prove provide pull pwd query random rank read recall recognize recommend render respond
retrieve retrive return reveal reverse roll round sample sanitize scale scan scrape screen search
see segment select shorten show shuffle simplify simulate solve sort spell split standardize stat
stem study subtract suggest sum summarise summarize supply synthesize tail test think tokenize trace
track transcribe transform translate transpose troubleshoot understand validate vectorize verify
view visit visualise visualize watch wc weigh
"""
_STATE_READ = "authenticate consume dequeue login pop receive signin"
_WRITE = """
abort accept acknowledge activate adapt add address adjust administer admit adopt advance align
allocate alter amend append apply appoint approve archive arrange assign associate attach augment
author backup balance begin blend block book bookmark borrow brew build bump burn calibrate capture
carry cast cd change checkin checkout choose claim clean click clone close collaborate combine
command commit complete compress conduct configure confirm connect construct consult control cook
cool coordinate copy correct cp craft create customize cut deactivate decline decrease define demote
design develop dim disable disconnect dislike dismiss dispense distribute do dose draft drag draw
drop edit eject embed enable end enforce enhance enqueue enrol enroll ensure enter equip establish
exchange extend falsify favorite favourite fill finalize finish fix flag flip float focus follow
fork freeze fulfil fulfill furnish give grab grow hand handle harvest heal heat hide hold host hover
implement import improve increase increment index init initialise initialize initiate input insert
instantiate irrigate issue join keep label land leave like link lock log maintain make manage
manipulate mark merge migrate mint mix mkdir modify mount move mutate mute mv negotiate note open
opt order organise organize override overwrite pack park patch pause perform pin pitch place plan
plant play populate postpone preheat prepare prescribe preserve press print prioritize process
program promote protect put queue raise rate reactivate rearrange rebase rebook recalibrate
reconcile record recover rectify redirect reduce refactor refill refresh register reject release
reload relocate remediate remember rename renew reopen reorder repair replace replicate reschedule
reserve reset resize resolve restock restore restrict resume return revert review rollback rotate
safeguard save schedule scroll seal secure set setup shift sign signup silence skip snooze solve
speed stage stake star start stash steer step stimulate stop store stream streamline strengthen
style subscribe suspend swap switch sync synchronise synchronize tag take tamper tap tighten toggle
touch train transition trim tune turn type unarchive unblock undo unmark unmute unpin untag update
upgrade upload upsert volunteer vote wake warm weld write zip
"""
_SEND = """
advertise alert announce apologize broadcast call cc comment communicate complain contact contribute
dial disclose dispatch disseminate email escalate exfil exfiltrate expose fax file forward handover
leak mail mention message nominate notify nudge petition phone post propose publish push refer reply
report repost request retweet send ship sms submit syndicate text transfer transmit tweet warn
webhook
"""
_EXECUTE = """
attack bash boot bootstrap bruteforce compile crash deploy detonate eval exec execute exploit fire
hack hijack inject install instruct invoke jailbreak kill launch operate overload override pilot
provision reboot recompile relaunch respawn restart run shell shutdown sniff spawn spoof subprocess
sudo terminal trigger unleash
"""
_DELETE = """
annul cancel clear del delete demolish deregister destroy detach discard discontinue disenroll drain
empty erase evict expel expire flush forget kick logout nuke obliterate prune purge remove revoke rm
rmdir scrub shred signout terminate trash truncate unassign unenroll unfollow uninstall uninvite
unlike unlink unpublish unregister unschedule unset unshare unstar unsubscribe void wipe
"""
_PAY = """
bet bid buy charge crowdfund deposit disburse donate fund gift hire invest lend monetize pay
payout pledge purchase redeem refund reimburse remit rent repay sell settle spend tip topup trade
wager wire withdraw
"""
_PERMIT = """
allowlist authorise authorize delegate elevate empower entitle grant impersonate invite onboard
permit share unlock whitelist
"""

VERBS: dict[str, Effect] = {
    word: effect
    for effect, text in (
        # A word in two classes keeps the later, worse one.
        (Effect.READ, _READ),
        (Effect.STATE_CHANGING_READ, _STATE_READ),
        (Effect.WRITE, _WRITE),
        (Effect.SEND, _SEND),
        (Effect.DELETE, _DELETE),
        (Effect.EXECUTE, _EXECUTE),
        (Effect.PERMIT, _PERMIT),
        (Effect.PAY, _PAY),
    )
    for word in text.split()
}
# Words of two classes whose usual sense in tool names is the milder one.
VERBS |= dict.fromkeys(("choose", "define", "provide", "solve", "calibrate"), Effect.READ)
VERBS |= dict.fromkeys(("return", "review"), Effect.WRITE)

AMBIGUOUS = _words("""
access address advance alert align answer attack author backup balance bash bet bid block book
bookmark borrow broadcast burn call capture cast cat cd change charge clean clear close command
comment commit compile complete contact control cool copy correct count cp craft crash cut deposit
design dispatch dose download draft draw drop du dump email empty end exchange exploit factor fax
file fill filter finish fire fix flag float focus follow fork format fund gift group guess hand hash
heat highlight hire hold host import index input invite issue kick label land launch leave lend like
link load lock log look mail map mark match measure mention message mint mix monitor move mute note
open operate order output override pack park parse patch pause permit phone pick pilot pin pitch
place plan plant play pledge payout poll pop post preview process profile program pull purchase push
put query queue random rank rate record redeem refund release rent repair reply report request
reserve respond return reverse review roll round run sample save scale scan schedule screen seal
secure see segment sell setup shell shift ship show sign signup skip sms solve sort speed spell
split stage stake star start stat stem step stop store stream study style sum supply swap switch tag
tail tap terminal test text tip top touch trace track trade train transfer transition trigger trim
tune turn tweet type upgrade visit volunteer vote wager wake warm watch webhook wire withdraw zip
""")
"""Verbs that are nouns or adjectives as often."""

GRAVE = _words(
    "bet buy deposit empty fund grant order permit purchase refund rent sell trade wire withdraw"
)
"""Ambiguous verbs that are taken at their word where they are the whole name."""

LIGHT = _words("""
apply begin carry conduct do execute handle initialize initiate issue launch make perform place
process run start take
""")
"""Verbs whose object says what happens: make a payment, perform a search."""

COMPUTE_NOUNS = _words("""
algorithm analysis analytics anova arithmetic assay assessment audit backtest benchmark calculation
check classification clustering comparison computation conversion correlation detection diagnosis
diagnostic diagnostics estimation evaluation experiment extraction factorization fft fit forecast
forecasting imaging inference inspection integration interpretation investigation lookup measurement
mining model modeling modelling multiplication optimisation optimization pca planning prediction
query reading recognition regression research review sampling scan scanning scraping screening
screenshot search sequencing simulation snapshot sort spectroscopy statistics study survey test
testing tokenization translation ttest validation verification
""")
"""Objects of a light verb that make it a computation or a look-up."""

TESTS = _words("test")
STATISTICAL = _words("a ab anova b chi hypothesis normality square statistical t z")
"""What makes a test a computation; any other test that is run executes what it tests."""

MONEY = _words("""
bet bid bitcoin cash charge checkout crypto deposit donation eth ether fund loan_payment money
paycheck payment payout pledge purchase refund reimbursement remittance stake tip trade
transaction transfer wager wire withdrawal
""")
ORDERS = _words("order")
ORDER_VERBS = _words("place create submit make book add issue confirm complete process")
BOOKKEEPING = _words("record log track report note categorize tag label flag dispute request")
"""Verbs that talk about money without moving it."""
PAY_BIGRAMS = frozenset({("payment", "intent"), ("bank", "transfer"), ("wire", "transfer")})
PAYING_ARGS = _words("""
billing billing_address billing_details billing_info billing_interval card_id card_number
credit_card credit_card_number cvv payment payment_details payment_id
payment_info payment_method payment_method_id payment_methods payment_source
""")
MEANS = _words("account card method wallet")
"""Means of payment, as the object of a change."""
PAID_WITH = PAYING_ARGS | _words("""
account amount basket card cart item items order price product quantity sum symbol ticket total
value
""")
"""Words of arguments that say what is paid for, or with what."""
PAYING_VERBS = _words("""
book change checkin complete confirm create enroll exchange extend hire modify order place
register renew rent reserve return subscribe update upgrade
""")
"""Verbs that take money if the tool is given the means of payment."""

ACCESS = _words("""
access acl admin collaborator credential member membership otp owner ownership passcode
passkey passphrase password permission pin privacy privilege rbac role rolebinding sharing sudoer
""")
ACCESS_BIGRAMS = frozenset(
    {
        ("api", "key"),
        ("access", "key"),
        ("ssh", "key"),
        ("access", "token"),
        ("api", "token"),
        ("access", "control"),
        ("access", "level"),
        ("access", "code"),
        ("privacy", "setting"),
        ("security", "setting"),
        ("sharing", "setting"),
        ("door", "lock"),
        ("lock", "state"),
        ("lock", "status"),
        ("smart", "lock"),
        ("share", "link"),
        ("shared", "link"),
        ("sharing", "link"),
        ("auth", "token"),
        ("authentication", "token"),
        ("authorization", "token"),
        ("bearer", "token"),
        ("secure", "token"),
        ("invite", "link"),
        ("invitation", "link"),
        ("join", "link"),
    }
)
OPENING = _words("privacy shareable sharable")
ACCESS_VERBS = _words("""
accept add alter approve assign change control create edit enable extend give grant install issue
make manage modify open override publish put raise renew reset restore rotate send set toggle
transfer unblock update upgrade upsert write
""")
MEMBERS = _words("""
attendee collaborator contributor editor guest invitee member moderator participant people
reviewer teammate user viewer
""")
MEMBER_VERBS = _words("add admit assign attach")

PROTECTION = _words("antivirus encryption fa firewall mfa protection security tfa")
"""The 2 of "2fa" is no letter."""
PROTECTION_BIGRAMS = frozenset({("two", "factor"), ("multi", "factor"), ("audit", "log")})
UNPROTECTING = _words("bypass deactivate disable pause stop suspend")
"""What one does to a protection to let somebody in; switching it on is a plain change."""
BIOMETRICS = _words("biometric biometrics face fingerprint passkey")
ENROLLING = _words("add enroll register save")
"""What is enrolled opens doors from then on."""
BLOCKING = _words("ban blacklist blocklist denylist")
"""Lists that take access from whoever is put on them."""
JOINING_VERBS = _words("associate enroll link put")
GROUPS = _words("admin group organisation organization project role team tenant workspace")
"""What gives its members access."""
GOODS = _words("""
beer beverage book breakfast burger cab cake coffee dinner dish drink equipment flower food gift
groceries grocery item lunch material meal medication merchandise part pizza product sandwich
snack supply taxi tea ticket wine
""")
CHARTS = _words("""
barplot boxplot chart diagram graph heatmap histogram plot scatterplot visualisation visualization
""")
"""Pictures of data: making one returns it."""
REFERENCES = _words("""
alias dependency dns domain host hostname id ip name path reference symbol uri url version
""")
"""What one resolves by looking it up; an issue, a ticket or a crisis is settled."""
JOBS = _words("batch job pipeline workflow")
MACHINES = _words("""
app application cluster container daemon failover host instance job machine mission node pipeline
pod program server system task vm workflow
""")
"""What is set going by starting it: from then on it acts by itself."""
FIRMWARE = _words("firmware kernel os package software")
"""What runs as code once it is installed, by whatever word."""
FOREIGN_CODE = _words("addon crate dependency extension gem npm_package pip_package plugin plugins")
"""What brings code of strangers with it, and runs it sooner or later."""
PACKAGERS = _words("apt conda dnf docker npm npx nuget pip pipx pnpm podman winget yum")
"""Programs that fetch code of strangers and run it."""
MAYBE_PACKAGERS = _words("brew cargo composer gem helm poetry uv yarn")
"""The same, where an argument names a package: cargo is shipped and poetry read as often."""
PACKAGES = _words("crate dependencies dependency module package packages requirements")
FETCHING_CODE = _words("add execute install invoke pull require run start up update upgrade")
"""What such a program is told to do in order to fetch or run it; a search does neither."""
BINARIES = _words("apk binary container docker executable installer")
COMMANDS = _words("command instruction")
CAMPAIGNS = _words("ad advertisement campaign contest marketing promotion sale")
"""What one runs by telling the public."""
FORMAL = _words("""
appeal case claim complaint dispute grievance lawsuit motion patent petition report return suit tax
""")
"""What one files with an authority, not in a folder."""
APPLIED_FOR = _words("""
account card grant job license loan membership mortgage permit position scholarship visa
""")
TECHNICAL_REQUESTS = _words("api feature get http https merge network post pull web")
AMENDING = _words("amend change edit modify update")
PRICED = _words("amount price quantity")
"""Words of arguments by which changing an order changes what it costs."""
RIDES = _words("cab ride rideshare taxi uber")
COUNTERPARTIES = _words("contractor device member supplier user vendor")
"""Whom one approves: from then on they may do more."""
REWARDS = _words("achievement cart feature level reward skin")
"""What is unlocked without anybody gaining access."""
BY_OBJECT: dict[str, tuple[frozenset[str], Effect]] = {
    "add": (FOREIGN_CODE, Effect.EXECUTE),
    "apply": (APPLIED_FOR, Effect.SEND),
    "approve": (COUNTERPARTIES, Effect.PERMIT),
    "begin": (MACHINES, Effect.EXECUTE),
    "book": (_words("ticket"), Effect.PAY),
    "burn": (_words("coin nft token"), Effect.DELETE),
    "call": (_words("function method procedure tool"), Effect.EXECUTE),
    "calibrate": (_words("hardware machine robot robots sensor sensors"), Effect.WRITE),
    "create": (CHARTS, Effect.READ),
    "charge": (_words("battery car device ev phone robot scooter vehicle"), Effect.WRITE),
    "checkout": (_words("basket cart order"), Effect.PAY),
    "conduct": (_words("interview poll survey"), Effect.SEND),
    "draw": (_words("card lot number ticket tile"), Effect.STATE_CHANGING_READ),
    "drop": (_words("collection column database db index schema table"), Effect.DELETE),
    "execute": (CAMPAIGNS, Effect.WRITE),
    "flash": (FIRMWARE, Effect.EXECUTE),
    "initiate": (MACHINES, Effect.EXECUTE),
    "issue": (COMMANDS, Effect.EXECUTE),
    "launch": (CAMPAIGNS, Effect.WRITE),
    "order": (GOODS, Effect.PAY),
    "perform": (MACHINES | _words("attack exploit injection"), Effect.EXECUTE),
    "pull": (_words("container image"), Effect.EXECUTE),
    "remove": (
        _words("background noise outlier profanity punctuation stopword whitespace"),
        Effect.READ,
    ),
    "request": (RIDES, Effect.WRITE),
    "resolve": (REFERENCES, Effect.READ),
    "run": (CAMPAIGNS, Effect.WRITE),
    "send": (COMMANDS, Effect.EXECUTE),
    "start": (MACHINES, Effect.EXECUTE),
    "submit": (JOBS, Effect.EXECUTE),
    "transfer": (_words("employee inventory patient staff stock student"), Effect.WRITE),
    "transmit": (COMMANDS, Effect.EXECUTE),
    "unlock": (REWARDS, Effect.WRITE),
    "update": (FIRMWARE, Effect.EXECUTE),
    "upgrade": (FIRMWARE, Effect.EXECUTE),
    "zip": (_words("code"), Effect.READ),
}
"""Verbs that mean something else for certain objects."""
GOALS = _words("ensure maintain optimise optimize prevent protect safeguard secure")
"""Verbs of a description that say what a tool is good for, not what it does."""
VAGUE = _words("ensure maintain manage optimise optimize organise organize safeguard secure store")
"""Second verbs of a description ("identify and manage") that say little."""
CATCH_ALL = _words("administer control handle manage process")
"""Verbs of names that leave it to the description what is done."""
CHARGES = (
    r"\bcharg(?:es|ed|ing) (?:the |a |their |your )?(?:account|buyer|card|customer|passenger|user)"
)
"""What a description says of a change that costs the user money."""

PUBLIC_TEXT = _words("""
advert announcement blog broadcast call chat comment complaint consultation dm email fax feedback
mail message newsletter notification oncall post reply review shoutout sms support testimonial tweet
voicemail
""")
PUBLIC_TEXT_VERBS = _words("""
add compose create deliver give initiate issue leave make new place put queue schedule start
trigger write
""")
PUBLISHED_OBJECTS = _words("issue pull pr gist listing ad advertisement blog release campaign")
"""Objects that others see once they exist: the write is a sink."""
DRAFTS = _words("draft template")
SOCIAL_SHARE = _words("""
article feedback feeling idea link location moment news opinion post quote result score status
story thought tweet update
""")
"""What one shares by telling it, not by opening it."""

SHELLS = _words("""
bash cmd console interpreter ipython kernel powershell python repl shell sql ssh terminal
""")
"""Names of things that run what they are given."""
RUNNABLE = SHELLS | _words("code command javascript js notebook program script")
CODE_ARGS = _words("command commands cmd code script sql shell_command bash python_code sql_query")
EXPRESSIONS = _words("expr expression expressions")
"""Code as well, unless the tool says that it only calculates."""
RUNNING = _words("eval evaluate exec execute interpret invoke run")
LANGUAGES = _words("code javascript js lua perl php powershell python ruby sandbox shell sql")
"""What a description says of an expression that is more than arithmetic."""
ARITHMETIC = _words("""
algebra algebraic arithmetic boolean calculator calculus integral math mathematical maths numeric
numerical polynomial
""")
RUN_ARGS = _words("""
args arguments argv backend dependencies dependency expr expression expressions extension
function_name image input module modules package packages plugin query requirement requirements
snippet source
""")
"""Arguments that say what is run and with what, where something is run."""
CODE_AS_TEXT = _words("analyze debug edit explain format get lint review validate write")
"""Verbs that handle code without running it."""
HTTP_METHODS = {
    "get": Effect.READ,
    "head": Effect.READ,
    "put": Effect.WRITE,
    "patch": Effect.WRITE,
    "delete": Effect.DELETE,
}
HTTP_BODIES = _words("body content data headers json payload")
"""Of `POST` the method says nothing; the description does."""
HANDING_OVER = _words("""
archive backup deliver dump export migrate mirror post publish push replicate sync
synchronise synchronize upload
""")
"""Verbs that hand data over where an argument says to whom."""
EXPORTING = _words("archive backup dump export mirror push replicate upload")
"""Of these any URL among the arguments is where the data goes."""
DESTINATIONS = _words("""
bucket dest destination destination_service endpoint recipient recipients remote remote_host
remote_server service sink target
""")
"""Arguments that say where such a verb hands it to, beside URLs that say the same."""
TOWARDS = _words("callback delivery dest destination export post push target upload webhook")
"""What is said of a URL that something is delivered to: `target_url`, `upload_endpoint`."""
FORWARDING = _words("""
auto_forward auto_forward_to copy_to forward forward_address forward_email forward_to
forwarding_address forwarding_email deliver_to send_to redirect redirect_to
webhook webhook_uri webhook_url webhooks
""")
"""Arguments that say who gets a copy, from then on or of this result."""
FORWARDERS = _words("autoforward forwarding hook webhook")
"""What one sets up so that data leaves by itself from then on."""
FORWARDED = _words("call email mail message sms text")
ASKING_HTTP = _words("build execute issue make perform send")
"""What is done with a GET request that only asks."""
READ_ONLY_PHRASES = ("read-only", "read only", "readonly", "select quer", "select statement")
OPENING_TO_LOOK = _words("""
app article attachment browser doc document email file folder image link menu message page pdf
report site tab url webpage website window
""")
"""What one opens in order to look at it."""

READING_NOUNS = _words("""
about all area artist availability available average balance best barcode by calculator calendar
catalog categories category chart charts checker client_list converter count current dashboard data
definition detail details detector deviation dictionary difference direction directions distance
documentation estimator event events example examples exists fact factorial facts feed feeds finder
forecast gcd generator health hello highest history hourly id identity image images index info
information insight insights jobs joke keyword keywords languages latest lcm leaderboard list
listing live locator log logs lyrics maximum me mean median metadata metrics mode most name names
nearby nearest news number odds overview percentage perimeter popular population position price
prices probability product products profile profiles properties qr quadratic quote quotes rank
ranking rankings rate rates rating ratings ratio recent recommendation recommendations report result
results retrieval review reviews root roots schedule score scores scraper sentiment similar snapshot
sources sqrt standing standings state statistic statistics stats status suggestion suggestions
summary supported table teams temperature thumbnail time titles top totals translation translator
trend trending trends upcoming user users validator value values variance version versions video
videos viewer volume weather whoami whois word words
""")
"""Nouns that name what is returned: a tool called by them alone is taken for a read."""

DETAIL_NOUNS = _words("""
activity analytics application applications categories category classification conversation count
counts detail details detection feed feeds history id ids info information list listing listings
lookup metadata odds overview price prices proposal proposals rate rates search statistics stats
status summary timeline trend trends type types validation verification version versions
""")
"""Heads that make a noun of the word before them: "order details", "tweet info"."""

SAVES = (
    r"\b(?:exports?|saves?|stores?|writes?)\b[^.]{0,60}"
    r"\b(?:to|into|in|as) (?:an? |the )?(?:\w+ ){0,2}(?:file|disk|folder|directory)\b"
)
"""What a description says of a computation that leaves a file behind."""
OPENS_SESSION = r"\breturns? (?:an? |the )(?:\w+ ){0,3}(?:token|session)\b"
"""What a description says of a check of credentials that is a login."""
CREDENTIALS = _words("passcode password passwd passphrase")
SESSIONS = _words("auth authentication credentials login session token")
ONE_TIME = _words("captcha nonce otp")
"""Things that are used up: asking for a new one changes which is valid."""
MARKS_READ = r"\bmark(?:s|ed|ing)?\b[^.]{0,30}\bas (?:read|seen)\b"
"""What a description says of a read that also changes something."""
UNREAD = _words("unread")

THINGS = _words("""
application collection container documentation donation invitation location notification
organization position presentation publication question reservation section station subscription
transaction
""")
"""Nouns that look like the name of an act but are what an act is done to: `post_location`."""
TOOL_NOUNS = _words("""
api app controller endpoint function handler manager module provider service software system tool
""")
"""Last words of a name that say nothing."""

# ------------------------------------------------------------------------------ descriptions
PREPOSITIONS = _words("""
about across after against as at based before between by during for from in including into of on
over per so than that through to under upon using via when where which while with within without
""")
JOINS = _words("and or then")
DETERMINERS = _words("a an existing given its my new s specified that the this your")
USAGE = _words("call deploy employ enter invoke run trigger use utilise utilize")
INTERFACES = _words("api apis endpoint endpoints service webservice")
PURPOSE = _words("can how that to what when where whether which who you")
"""After one of these a further verb is not done by the tool itself."""
ACTION_ARGS = _words("action action_type operation operation_type")
"""Arguments that choose what is done: the worst that they may say counts."""
ASKING = _words("are can does has have is should was will")
"""First words of a name that ask: `is_registered`, `can_send`."""
NOT_SAID = _words("accept accepts enable enabled enter subscribe take takes")
"""Words that describe the endpoint ("accepts a GET request") more often than the act."""
RETURNABLE = _words(
    "book car equipment item merchandise order package parcel product purchase vehicle"
)
"""What one returns to its owner; anything else that is returned is a result."""
MAKING = _words("""
compose design draw generate plot prepare produce render summarise summarize visualize
""")
"""Verbs that make something in order to show it."""
FIGURES = _words("calculate compute determine estimate")
FILLERS = _words("""
a ability able action advanced agent ai all allow allowing allows also an and api app application
asynchronously attempt attempts automatically based be br by call can class client command could
crafted currently customer customers deploy designed directly easily employed enable enables
enabling endpoint engineered first for free from function functions given helping helps here if in
instruct intended into is it its let lets me method methods module need of on one only operation
or p page path permanently please powerful program programmatically quickly request responsible
robot route safely securely service should simple simply single sophisticated specialized
specially specified sql step strong system temporarily that the their them then these this to tool
tools tries try up use used useful user users using utility via want wanted we web when where
which who will with you your
""")
"""Words before the verb of a description."""
DESCRIPTION_READS = _words("""
all available contains current daily data detailed details full historical info information json
latest list live showing shows statistics summary today
""")

# ------------------------------------------------------------------------------ arguments
INJECTED = _words("""
AsyncCallbackManagerForToolRun BaseStore CallbackManagerForToolRun Context Depends InjectedState
InjectedStore InjectedToolArg InjectedToolCallId RunContext RunContextWrapper RunnableConfig
Runtime ToolContext ToolRuntime
""")
"""Types whose values a framework supplies: by name, so that no framework is imported."""
RECIPIENT_ARGS = (
    _words("""
addressee addressees attendee attendees audience_ids bcc cc channel channels contact_email e_mail
email emails fax guest guests invitee invitees mailto member members mobile mobileno participant
participants phone phone_number phone_numbers phones receiver receivers recipient recipient_email
recipients to to_email webhook
""")
    | FORWARDING
)
"""Arguments that name the other party a text goes to."""
RECIPIENT_HEADS = _words("""
attendee attendees channel email emails invitee invitees participant participants receiver
recipient recipients webhook
""")

IDENTITY_HEADS = _words("""
account accounts acct address addresses apikey app application apptoken assignee attachment
attachments attendee attendees author bank bcc beneficiary bic branch bucket bytecode card cc
channel channels chat cmd code collaborator collaborators command commands company contact contacts
container counterparty credential credentials database db device devices dir directory domain driver
email emails endpoint file filename filepath files folder folders group groups guest guests handle
host hostname iban id identifier ids instance invitee invitees ip key mail member members merchant
mobile mobileno namespace nickname node object organisation organization owner owners participant
participants passcode password path paths patient payee payer permission permissions phone pin
postcode privilege project pubkey receiver receivers recipient recipients repo repository role roles
routing script secret sender server sql ssn street supplier swift table team tenant ticker token uid
uri url urls user userid username users uuid vendor wallet webhook zip zipcode
""")
"""Last words of argument names that say who, where, which or how much."""
IDENTITY_NAMES = _words("""
contact_info first_name from_account last_name payment_method postal_code sort_code to_account
""")
PERSONS = _words("""
client customer doctor driver employee guest member owner passenger patient student user
""")
"""What a name belongs to where it says who, even in a read: `patient_name`."""
SOMEBODY = PERSONS | _words("""
admin app assignee collaborator grantee group name people permission permissions principal role
team user userid username users
""")
"""Whom a permit may name."""
NOT_IDENTITY = _words("""
account_type airport_code api_version color_code country_code currency_code coupon_code device_type
discount_code file_type include_id language_code language_id project_type promo_code referral_code
response_code status_code user_agent user_type zip_code_format
""")
PRESENTATION = _words("""
charset currency encoding format lang language locale type unit units
""")
"""Last words of arguments that say how a value is written or counted, not which one it is."""
EXCHANGED = _words("base buy from quote sell source target to")
"""Of these a currency is what is traded: `to_currency`."""
ADDRESS_PARTS = _words("city state country address1 address2 street_address region province")
WHICH_ONLY_IF_CHANGING = _words("""
amount apikey artist audience book budget capital city cost count departure dest
destination dosage dose drug dst environment event fee flight hotel item items label level location
medication medicine movie name names number order origin pair percentage place playlist points
position price procedure product program qty quantities quantity resource restaurant room salary
seats shares show song src stock sum symbol tag target tickets to total treatment units vaccine
value version
""")
"""Heads that say which or how much, but matter only where something is changed."""

NAMING = _words("add create insert new")
"""What is made new by these is given a name."""
UNITS = _words("cents eur euros g gb gbp kg lb mb mcg mg ml percent percentage pct usd")
"""Last words of an argument that only say what its number counts."""
COUNTED = frozenset({("number", "of"), ("no", "of"), ("count", "of"), ("amount", "of")})
DELIVERING = _words(
    "bill billed charge deliver delivered mail pay paid refund send sent ship shipped"
)
DELIVERY = _words("billing deliver delivery dropoff pickup receipient recipient ship shipping")
DELIVERED_TO = _words("address destination details info information location place point to where")
COUNTING = _words("atomic max min page random room total")
"""Before "number" these count; anything else is numbered by it: `ticket_number`."""
IDENTITY_ANYWHERE = _words("phone email iban account recipient receiver card username wallet")
"""Words that make an argument identify wherever they stand in its name: `to_phone_numbers`."""

CONTENT_HEADS = _words("""
about answer article bio body caption comment comments content contents data description details
explanation feedback html input instructions keyword keywords markdown memo message messages note
notes opinion payload post prompt q query question reason remark remarks reply response review
search sentence snippet statement subject summary term text thought thoughts title topic
transcript tweet
""")
URL_HEADS = _words("""
baseurl callback domain endpoint host hostname href link links site uri uris url urls webhook
webpage website
""")
RELAYS = _words("gateway proxy relay remote upstream")
"""Arguments that say through whom a call goes."""
SERVICES = _words("backend server service")
"""The same, where the tool is also given a text to hand on: `translate(text, service)`."""
URL_SAID = _words("endpoint uri url webhook")
"""What the description of an argument starts with where it holds an address."""
URL_FORMATS = _words("uri url uri-reference iri hostname idn-hostname")
OUTPUT_PLACES = _words("""
dest_path destination_path download_path filename_to_save local_path out_file outfile
output_audio_path output_dir output_file output_filename output_folder output_image_path
output_path output_video_path save_as save_path save_to target_path
""")
"""A computation given one of these leaves a file behind."""

# ------------------------------------------------------------------------------ what is returned
WEB_SOURCES = _words("""
browser crawl crawler hackernews html internet news online reddit rss scrape scraper serp tavily
tweet tweets url web webpage webpages website websites wikipedia www
""")
"""Objects that the public writes: tier 3."""
SEARCH_ENGINES = _words("bing brave duckduckgo engine google serper yahoo yandex youtube")
"""Web sources where the tool searches with them; `google_calendar` is none."""
SEARCHED = _words("search result results query news images videos image video")
WEB_VERBS = _words("browse crawl scrape navigate visit goto")
PLAIN_SOURCES = _words("""
answer article attachment blob content database doc document documentation faq feedback file gist
joke knowledge lyrics markdown memo note notebook page paper passage pastebin pdf post posting qa
rating readme repository response resume review row snippet sql story testimonial text transcript
voicemail wiki
""")
"""Objects that come as running text which somebody else may have written."""
LISTED = _words("file folder drive repository")
"""Of these a search or a list returns records, and only reading one returns its text."""
RECORD_SOURCES = _words("""
announcement appointment comment commit discussion dm email event folder incident invitation issue
job listing log mail meeting mention message notification pr profile pull sms submission task
ticket transaction
""")
"""Objects that come as records with some free-text fields in them."""
CONTAINERS = _words("""
calendar channel chat conversation directory discord feed gmail imap inbox mailbox outlook slack
telegram thread timeline whatsapp
""")
"""What holds such records: `read_channel` returns messages, `get_channels` only names."""
WORDED_BY_OTHERS = PLAIN_SOURCES | RECORD_SOURCES | LISTED | CONTAINERS | WEB_SOURCES
RECEIPTS = frozenset({Effect.WRITE, Effect.PERMIT})
"""What these return is a receipt; where it shows a record, running text in it is public."""
OWN_TEXT = frozenset({Effect.SEND, Effect.PAY})
"""What such a call returns is what was put into it."""

FREE_TEXT_FIELDS = (
    "about",
    "bio",
    "body",
    "caption",
    "comment",
    "comments",
    "content",
    "contents",
    "description",
    "details",
    "html",
    "location",
    "memo",
    "message",
    "messages",
    "note",
    "notes",
    "reason",
    "review",
    "reviews",
    "snippet",
    "subject",
    "summary",
    "text",
    "title",
)
"""Fields of a record that whoever wrote the record has worded."""

NOTIFIED = _words("""
attendee attendees bcc cc collaborator collaborators guest guests invitee invitees participant
participants recipient recipients watcher watchers
""")
"""Last words of arguments that name people who are told of a change: an invitation leaves."""
NOTIFYING = _words("invite mention notify share")
"""First words of arguments that say whom to tell, or that somebody is told."""
PERSON_RECORDS = _words("account contact customer employee member patient profile student user")
PERSON_FIELDS = _words("contact_email e_mail email mobile phone phone_number")

PARTNER_SOURCES = _words("partner vendor supplier marketplace broker carrier merchant affiliate")

# ------------------------------------------------------------------------------ weight
SENSITIVE = _words("""
bank biometric card credential credentials criminal diagnosis genetic health iban identity key
keys medical passcode passport password passwords patient payroll prescription private salary
secret secrets ssn statement tax token transaction transactions vault wallet
""")
PRIVATE = _words("""
account address balance calendar chat contact contacts customer dm document drive email emails
employee event events file files folder inbox location mail message messages note notes order
orders photo photos profile reservation student user users
""")
LIGHT_OBJECTS = _words("""
alarm alarms bookmark brightness cart favorite favorites favourite filter follow label like music
playlist queue reminder song tag timer todo volume watchlist wishlist
""")
"""Objects whose loss or change an ordinary user shrugs at."""
UNDONE_VERBS = _words("disconnect logout signout unfollow unlike unstar")
"""Deletions that doing the opposite makes good."""
TRASH = (
    r"\b(?:moves?|moved|puts?|sends?) [^.]{0,40}"
    r"\b(?:to|in|into) (?:the )?(?:trash|bin|recycle bin)\b"
)
"""What a description says of a deletion that leaves a copy."""
FOREVER = (
    r"\b(?:permanently|irreversibl[ey]|"
    r"(?:cannot|can't|can not) be (?:undone|reverted|recovered))\b"
)
"""What a description says of a change that nobody takes back."""
LASTING_VERBS = _words("""
administer adopt confirm dispense exchange finalize format hire merge mint overwrite prescribe
release replace reset return seal settle sign vote
""")
"""Writes that an ordinary user cannot take back."""
BARE = _words("a all api call data function get items query results run search the tool v1 v2 v3")
"""Words that do not say what a tool works on."""
HOSTS = _words("domain host hostname server")
"""Ends of URL arguments that say what to connect to."""
LAUNCHING = _words("create execute launch run start")
"""With a campaign or a product: the public sees it at once."""
LIGHT_LISTS = _words("alarm basket cart favorites playlist reminder timer todo watchlist wishlist")
VAGUE_NOUNS = BARE | _words("api app catalog entry item items service tool")
"""Nouns of a name that leave it to the description what is meant."""

BOOKING_VERBS = _words("book charter hail lease rebook rent reserve")
BOOKINGS = _words("appointment booking cab consultation rental reservation ride taxi visit")
SCHEDULED = _words("delivery inspection interview pickup session tour treatment viewing")
"""What one schedules with somebody else; a meeting of one's own is a calendar matter."""
ARRANGING = _words("add arrange call create get make order place register request schedule")
"""A provider keeps something free for the user: others hear of it, and it mostly costs."""
FREE_TO_CANCEL = (
    r"\bfree (?:of charge )?cancell?ation|"
    r"\bcancell?(?:ed|ation|able)?\b[^.]{0,40}\b(?:free|without (?:charge|cost|fees?|penalty))\b"
)
"""What the description says of a booking that one may take back."""
REPLACING = _words("alter assign change edit modify move redirect replace set swap switch update")
BANK_ARGS = _words("""
account_holder account_number bank_account bank_account_number bank_details beneficiary_account bic
direct_deposit iban new_iban payout_account routing_number sort_code swift swift_code
""")
"""Arguments of a change that say where money goes from then on."""
BANK_PHRASES = re.compile(
    r"(?i)\b(?:bank|payout|payroll|direct deposit|salary|payee|beneficiary)[ -]"
    r"(?:accounts?|details|information)\b|\baccount \w+ \w+ (?:is|are) paid\b"
)
PAID_PARTIES = _words("beneficiary payee payout")
ACCOUNT_WORDS = _words("account billing customer login member owner primary recovery user")
LOGIN_FIELDS = _words("email mail mfa mobile phone username")
"""Whoever holds these of an account can have its password reset."""
MEDICAL = _words("""
anesthesia dosage dose drug insulin medicament medication medicine opioid prescription
transfusion treatment vaccine
""")
MEDICAL_VERBS = _words("administer dispense inject prescribe")
ORDERING = _words(
    "adjust change create issue modify order refill renew request set submit update write"
)
TAKEOVER_PRIVILEGE = 8
"""At least this much for a change that takes an account over or reaches a body."""
FOREIGN_CODE_PRIVILEGE = 9
OWN_SECRETS = _words("""
2fa authentication bearer code door factor key lock mfa otp passcode password pin privacy secret
token
""")
"""What a permit is about where it names nobody who gains from it."""
INVITING = _words("delegate grant invite onboard share")
BULK = _words("all bulk batch every everything database entire full mass multiple many dump whole")
WIDE = _words("database db sql shell bash terminal server system filesystem disk")

PRIVILEGE: dict[Effect, int] = {
    Effect.READ: 2,
    Effect.STATE_CHANGING_READ: 4,
    Effect.WRITE: 5,
    Effect.SEND: 6,
    Effect.DELETE: 7,
    Effect.EXECUTE: 8,
    Effect.PERMIT: 9,
    Effect.PAY: 10,
}
RISK: dict[Effect, int] = {effect: rank for rank, effect in enumerate(PRIVILEGE)}
"""Order of the effects from harmless to worst; ties in evidence go to the worse."""
GIVING = frozenset({Effect.SEND, Effect.PAY})
LEAVES = frozenset({Effect.SEND, Effect.PAY, Effect.PERMIT})
LASTING = frozenset({Effect.SEND, Effect.PAY, Effect.PERMIT, Effect.DELETE, Effect.EXECUTE})
SEARCHING = _words(
    "search list find query browse filter lookup locate recent history records enumerate ls"
)
"""Verbs (and words) of tools that return several records."""
JUDGED = _words("analyze check analyse inspect monitor scan test verify whois")
"""Reads that say something about what they are given; running text in that is still public."""
ENTERING = _words("authenticate login signin")
OWN_MAIL = _words("draft drafts sent")
"""What the user wrote; what it quotes stays running text."""
FIGURE_NOUNS = _words("code count metric price pricing setting specification status version")
"""Ends of names that promise a figure or a setting."""
COMPUTED = _words("""
calculate classify compare compute convert count decode decrypt detect encode encrypt estimate
evaluate generate hash predict validate verify
""")
"""Reads that return a figure of their own making, not somebody's text."""

CREATING = _words("create add make insert new upload copy")
"""Verbs whose result is what was put in."""
