"""What rows have in common, so that compressed rows need not repeat it: a preset dictionary of zlib (RFC 1950).

Each compressed text of a row names the dictionary with which it was made, by a checksum. A dictionary is therefore
never changed: a row that was made with it could not be read any more. A better one is added to DICTIONARIES and named as
CURRENT one release later, when no earlier code runs beside it.
"""

import zlib
from types import MappingProxyType

# The names of stored values and of the specification's properties, in the order in which rows have them, with the
# values that are the same in most rows. What is nearest to the end is the cheapest to refer to.
_FIRST = (
    b'"occurrenceOf":"eventSchedule":[{"@type":"PartialSchedule","startTime":"endTime":"byDay":["https://schema.org/'
    b'Monday"Tuesday"Wednesday"Thursday"Friday"Saturday"Sunday"],"scheduleTimezone":"Europe/London"'
    b'"@type":"Slot","facilityUse":{"@type":"IndividualFacilityUse"FacilityUse"facilityType":"maximumUses":"remainingUses":'
    b'"@type":"HeadlineEvent"CourseInstance"OnDemandEvent"subEvent":["@type":"Event",'
    b'"programme":{"@type":"Brand","name":"leader":[{"@type":"Person","level":["Beginner"Intermediate"Advanced"],'
    b'"ageRestriction":{"@type":"QuantitativeValue","minValue":16,"maxValue":"genderRestriction":"https://openactive.io/'
    b'NoRestriction"FemaleOnly"MaleOnly","accessibilitySupport":["isCoached":"attendeeInstructions":"schedulingNote":'
    b'"category":["image":[{"@type":"ImageObject","url":"https://"thumbnail":[{"height":"width":'
    b'"amenityFeature":[{"@type":"ChangingFacilities"Showers"Toilets"Parking"Lockers"Creche","value":true},'
    b'"openingHoursSpecification":[{"@type":"OpeningHoursSpecification","closes":"opens":"dayOfWeek":'
    b'"telephone":"email":"givenName":"familyName":"identifier":"@type":"Person","postalAddress":'
    b'"orderProposalVersion":"orderProposalStatus":"https://openactive.io/AwaitingSellerConfirmation"SellerAccepted"'
    b'SellerRejected"CustomerRejected"orderCustomerNote":"orderItemIntakeForm":["cancellationMessage":"customerNotice":'
    b'"https://openactive.io/OrderItemConfirmed"CustomerCancelled"SellerCancelled"CustomerAttended"CustomerAbsent"'
    b'"accessPass":[{"@type":"Barcode","text":"codeType":"accessCode":[{"@type":"PropertyValue","description":'
    b'"accessChannel":{"@type":"VirtualLocation","openBookingFlowRequirement":["https://openactive.io/'
    b'OpenBookingApproval"OpenBookingAttendeeDetails"OpenBookingIntakeForm"OpenBookingNegotiation"'
    b'"latestCancellationBeforeStartDate":"validFromBeforeStartDate":"P1D","taxMode":"https://openactive.io/TaxNet"'
    b'"termsOfService":[{"@type":"PrivacyPolicy"TermsOfUse","requiresExplicitConsent":false}],"dateModified":'
    # An item of an open feed.
    b'{"state":"updated","kind":"ScheduledSession","id":"https://base.invalid/api/identifiers/","modified":'
    b'"data":{"@context":["https://openactive.io/","https://openactive.io/ns-beta"],'
    # An Order, as it is stored.
    b'{"key":{"partner_id":"","uuid":""},"kind":"OrderProposal","seller_id":"https://base.invalid/api/identifiers/sellers/",'
    b'"seller":{"@type":"Organization","@id":"https://base.invalid/api/identifiers/sellers/","name":"","legalName":"",'
    b'"taxMode":"https://openactive.io/TaxGross","address":{"@type":"PostalAddress","streetAddress":"","addressLocality":"",'
    b'"addressRegion":"","postalCode":"","addressCountry":"GB"},"isOpenBookingAllowed":true},"broker_role":"AgentBroker",'
    b'"items":[{"position":0,"opportunity_id":"https://base.invalid/api/identifiers/scheduled-sessions/",'
    b'"offer_id":"https://base.invalid/api/identifiers/session-series/","opportunity":{"id":'
    b'"https://base.invalid/api/identifiers/facility-uses/slots/","type":"ScheduledSession","seller_id":'
    b'"https://base.invalid/api/identifiers/sellers/","starts_at":"2026-01-01T00:00:00Z","ends_at":"2026-01-01T00:00:00Z",'
    b'"status":"EventScheduled","is_online":false,"is_physical":true,"offers":[],"attendee_details_required":[],'
    b'"intake_form":[],"access_channel":null,"document":{"@type":"ScheduledSession","@id":"https://base.invalid/api/'
    b'identifiers/scheduled-sessions/","superEvent":"https://base.invalid/api/identifiers/session-series/","startDate":'
    b'":00+00:00","endDate":":00+00:00","duration":"PT1H","maximumAttendeeCapacity":,"remainingAttendeeCapacity":},'
    b'"parent":{"@type":"SessionSeries","@id":"https://base.invalid/api/identifiers/session-series/","name":"",'
    b'"description":"","url":"https://","activity":[{"@type":"Concept","@id":"https://openactive.io/activity-list#",'
    b'"inScheme":"https://openactive.io/activity-list","prefLabel":""}],"location":{"@type":"Place","@id":'
    b'"https://base.invalid/api/identifiers/places/","name":"","address":{"@type":"PostalAddress","streetAddress":"",'
    b'"addressLocality":"","addressRegion":"","postalCode":"","addressCountry":"GB"},"geo":{"@type":"GeoCoordinates",'
    b'"latitude":51.,"longitude":-0.}}},"revision":1,"barriers":[],"unusable_offers":[],"is_embedded":false,"sub_events":[]},'
    b'"offer":{"id":"https://base.invalid/api/identifiers/session-series/#/offers/","price":"0.00","currency":"GBP",'
    b'"prepayment":null,"bookable_in_advance":true,"opens_before":null,"closes_before":null,"cancellable_until_before":null,'
    b'"allows_cancellation":true,"requirements":[],"tax_rate":null,"document":{"@type":"Offer","@id":'
    b'"https://base.invalid/api/identifiers/","name":"","price":0,"priceCurrency":"GBP",'
    b'"allowCustomerCancellationFullRefund":true},"opens_at":null,"closes_at":null,"barriers":[]},"price":{"amount":"0.00",'
    b'"due":"0.00","currency":"GBP","taxes":[{"name":"VAT at 20%","amount":"0.00","currency":"GBP","rate":"0.2",'
    b'"identifier":null}]},"id":null,"status":null,"spaces_remaining":null,"attendee":null,"intake_answers":[],'
    b'"broker_passes":[],"access_codes":[],"access_passes":[],"access_channel":null,"customer_notice":null,'
    b'"cancellation_message":null}],"totals":{"due":"0.00","currency":"GBP","prepayment":"Required","taxes":[{"name":'
    b'"VAT at 20%","amount":"0.00","currency":"GBP","rate":"0.2","identifier":null}],"tax_excluded":false},'
    # Its answer, as text within it.
    b'"answer":"{\\"@context\\":\\"https://openactive.io/\\",\\"@type\\":\\"Order\\",\\"@id\\":\\"https://base.invalid/api/'
    b'openbooking/orders/\\",\\"brokerRole\\":\\"https://openactive.io/AgentBroker\\",\\"broker\\":{\\"@type\\":'
    b'\\"Organization\\",\\"name\\":\\"\\"},\\"seller\\":{\\"@type\\":\\"Organization\\",\\"@id\\":'
    b'\\"https://base.invalid/api/identifiers/sellers/\\",\\"name\\":\\"\\",\\"legalName\\":\\"\\",\\"taxMode\\":'
    b'\\"https://openactive.io/TaxGross\\",\\"address\\":{\\"@type\\":\\"PostalAddress\\",\\"streetAddress\\":\\"\\",'
    b'\\"addressLocality\\":\\"\\",\\"addressRegion\\":\\"\\",\\"postalCode\\":\\"\\",\\"addressCountry\\":\\"GB\\"},'
    b'\\"isOpenBookingAllowed\\":true},\\"customer\\":{\\"@type\\":\\"Person\\",\\"email\\":\\"\\"},\\"bookingService\\":'
    b'{\\"@type\\":\\"BookingService\\",\\"name\\":\\"\\"},\\"orderedItem\\":[{\\"@type\\":\\"OrderItem\\",\\"@id\\":'
    b'\\"https://base.invalid/api/openbooking/orders/#/orderedItem/\\",\\"orderItemStatus\\":'
    b'\\"https://openactive.io/OrderItemConfirmed\\",\\"position\\":0,\\"orderedItem\\":{\\"@type\\":\\"ScheduledSession\\",'
    b'\\"@id\\":\\"https://base.invalid/api/identifiers/scheduled-sessions/\\",\\"superEvent\\":{\\"@type\\":'
    b'\\"SessionSeries\\",\\"@id\\":\\"https://base.invalid/api/identifiers/session-series/\\",\\"name\\":\\"\\",'
    b'\\"url\\":\\"https://\\",\\"activity\\":[{\\"@type\\":\\"Concept\\",\\"@id\\":'
    b'\\"https://openactive.io/activity-list#\\",\\"inScheme\\":\\"https://openactive.io/activity-list\\",'
    b'\\"prefLabel\\":\\"\\"}],\\"location\\":{\\"@type\\":\\"Place\\",\\"@id\\":\\"https://base.invalid/api/identifiers/'
    b'places/\\",\\"name\\":\\"\\",\\"geo\\":{\\"@type\\":\\"GeoCoordinates\\",\\"latitude\\":51.,\\"longitude\\":-0.}}},'
    b'\\"startDate\\":\\":00+00:00\\",\\"endDate\\":\\":00+00:00\\",\\"duration\\":\\"PT1H\\",\\"maximumAttendeeCapacity\\":,'
    b'\\"remainingAttendeeCapacity\\":},\\"acceptedOffer\\":{\\"@type\\":\\"Offer\\",\\"@id\\":'
    b'\\"https://base.invalid/api/identifiers/session-series/#/offers/\\",\\"name\\":\\"\\",\\"price\\":,'
    b'\\"priceCurrency\\":\\"GBP\\",\\"allowCustomerCancellationFullRefund\\":true},\\"unitTaxSpecification\\":[{\\"@type\\":'
    b'\\"TaxChargeSpecification\\",\\"name\\":\\"VAT at 20%\\",\\"price\\":,\\"priceCurrency\\":\\"GBP\\",\\"rate\\":0.2}]}],'
    b'\\"totalPaymentDue\\":{\\"@type\\":\\"PriceSpecification\\",\\"price\\":,\\"priceCurrency\\":\\"GBP\\",'
    b'\\"openBookingPrepayment\\":\\"https://openactive.io/Required\\"},\\"totalPaymentTax\\":[{\\"@type\\":'
    b'\\"TaxChargeSpecification\\",\\"payment\\":{\\"@type\\":\\"Payment\\",\\"identifier\\":\\"\\"}}",'
    # The rest of an Order.
    b'"broker":{"@type":"Organization","name":"","url":"https://"},"customer":{"@type":"Person","email":""},'
    b'"payment":{"@type":"Payment","identifier":""},"customer":null,"payment":null,"requires_approval":false,"proposal":null,'
    b'"lease_expires_at":"2026-01-01T00:00:00Z","lease_kind":"named","leased_since":"2026-01-01T00:00:00.000000Z",'
    b'"lease_kind":"anonymous","lease_expires_at":null,"lease_kind":null,"leased_since":null,"access_methods":[],'
    b'"created_at":null,"booked_at":null,"fingerprint":null,"answer":null,"proposal_answer":null,"published":false,'
    b'"version":1,"erased_at":null}'
)

DICTIONARIES = MappingProxyType({zlib.adler32(each): each for each in (_FIRST,)})
CURRENT = _FIRST
