"""The currencies of ISO 4217 and how many decimal places each has; amounts rounded to them."""

from decimal import ROUND_HALF_UP, Context, Decimal

# ISO 4217, list one, by the number of decimal places. Funds codes, metals and test codes are left out:
# nothing is sold in them.
_CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
        "CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
        "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP "
        "MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD "
        "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS "
        "VED VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
}
DECIMAL_PLACES = {code: places for places, codes in _CODES.items() for code in codes.split()}

# Of an amount that names no currency, as what is free need not (PAY-03), or one that is not known, as rows
# of release 0.1.0 may hold.
_USUAL_PLACES = 2

# Enough digits for any number that JSON can hold: rows of release 0.1.0 may have prices of any size.
_EXACT = Context(prec=400, rounding=ROUND_HALF_UP)


def rounded(amount: Decimal, currency: str | None) -> Decimal:
    """A finite amount to the smallest unit of its currency, half up: pence of GBP, whole yen (MEDIA-10)."""
    places = DECIMAL_PLACES.get(currency or "", _USUAL_PLACES)
    return amount.quantize(Decimal(1).scaleb(-places), context=_EXACT)
