"""What AWS charges in eu-west-2 (London), in US dollars without tax: the one place where prices are written down.

AWS changes prices; each has the month in which it was last looked up, and the page that has the current one. No free tier
is applied but CloudFront's, which is permanent and has a separate line.
"""

from decimal import Decimal

from chalicelib.values import dataclass

_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_GATEWAY = "https://aws.amazon.com/api-gateway/pricing/"
_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_WAF = "https://aws.amazon.com/waf/pricing/"
_CLOUDFRONT = "https://aws.amazon.com/cloudfront/pricing/pay-as-you-go/"


@dataclass(frozen=True)
class Price:
    """The price of `per` units of one thing."""

    what: str
    dollars: Decimal
    per: int
    of: str
    """The month of the price, such as 2025-09."""
    page: str

    def of_units(self, units: float) -> Decimal:
        """What so many units cost."""
        return self.dollars * Decimal(str(units)) / self.per


_MILLION = 1_000_000


def _price(what: str, dollars: str, per: int, page: str, of: str = "2025-09") -> Price:
    return Price(what, Decimal(dollars), per, of, page)


PRICES = {
    "writes": _price("DynamoDB write request units, on demand", "0.7423", _MILLION, _DYNAMODB),
    "reads": _price("DynamoDB read request units, on demand", "0.1485", _MILLION, _DYNAMODB),
    "stored": _price("DynamoDB storage, GB-month", "0.29715", 1, _DYNAMODB),
    "backed up": _price("DynamoDB point-in-time recovery, GB-month", "0.23772", 1, _DYNAMODB),
    "invocations": _price("Lambda requests", "0.20", _MILLION, _LAMBDA, "2026-09"),
    "arm64": _price("Lambda GB-seconds, arm64", "13.3334", _MILLION, _LAMBDA, "2026-09"),
    "x86_64": _price("Lambda GB-seconds, x86_64", "16.6667", _MILLION, _LAMBDA, "2026-09"),
    "REST API": _price("API Gateway requests, REST API", "3.50", _MILLION, _GATEWAY, "2026-09"),
    "HTTP API": _price("API Gateway requests, HTTP API", "1.16", _MILLION, _GATEWAY, "2026-09"),
    "logged": _price("CloudWatch Logs, GB ingested", "0.5985", 1, _CLOUDWATCH, "2026-09"),
    "log kept": _price("CloudWatch Logs, GB-month stored", "0.0315", 1, _CLOUDWATCH, "2026-09"),
    "metrics": _price("CloudWatch custom metrics", "0.30", 1, _CLOUDWATCH, "2026-09"),
    "alarms": _price("CloudWatch alarms, by metric", "0.10", 1, _CLOUDWATCH, "2026-09"),
    "dashboards": _price("CloudWatch dashboards beyond three", "3.00", 1, _CLOUDWATCH),
    "traces": _price("X-Ray traces recorded", "5.00", _MILLION, "https://aws.amazon.com/xray/pricing/"),
    "keys": _price("KMS keys", "1.00", 1, "https://aws.amazon.com/kms/pricing/"),
    "key uses": _price("KMS requests", "0.03", 10_000, "https://aws.amazon.com/kms/pricing/"),
    "messages": _price("SQS requests, standard queue", "0.40", _MILLION, "https://aws.amazon.com/sqs/pricing/", "2026-09"),
    "sent": _price("Data to the internet, GB", "0.09", 1, "https://aws.amazon.com/ec2/pricing/on-demand/", "2026-09"),
    "edge requests": _price("CloudFront HTTPS requests, Europe", "0.0120", 10_000, _CLOUDFRONT),
    "edge sent": _price("CloudFront data to the internet, Europe, GB", "0.085", 1, _CLOUDFRONT),
    "web ACLs": _price("WAF web ACLs", "5.00", 1, _WAF),
    "WAF rules": _price("WAF rules", "1.00", 1, _WAF),
    "WAF requests": _price("WAF requests", "0.60", _MILLION, _WAF),
    "weekly backups": _price("AWS Backup of DynamoDB, GB-month", "0.11886", 1, "https://aws.amazon.com/backup/pricing/"),
}  # fmt: skip

# Each month, permanently, for an account.
FREE_EDGE_REQUESTS = 10_000_000
FREE_EDGE_GB = 1024
