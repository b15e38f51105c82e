"""The stores on DynamoDB. The only package that imports pynamodb or botocore."""
